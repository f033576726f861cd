"""The model registry: MLflow as an index of sampler cards, which the store can rebuild.

One registered model per backbone name, one version per candidate, its card as the only artifact. Aliases name
champions: `nfe8` that of 8 calls, `nfe8-euler` that of its cell. Loading executes nothing: a card is data.

MLflow is imported inside the functions, and reached through clients with explicit URIs, so nothing here
depends on its global state. Its own variables still apply, MLFLOW_TRACKING_TOKEN among them.
"""

import json
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lsd_core import tracking
from lsd_core.cards import SamplerCard, text_sha256
from lsd_core.errors import InputError
from lsd_core.filing import describe, params_of, rank, row_of, seed_values_of, tags_of, uri_of, values_of

CARD_FILE = "card.json"
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a `models:/` URI leads to."""

    uri: str
    """With the version number, so that it always means this card."""
    card: SamplerCard
    store_url: str | None
    """Store that holds the card's backbone, as far as the registry knows."""


def check(tracking_uri: str | None = None) -> None:
    """Raise InputError unless the registry can be reached; an embedded one is made."""
    _connect(tracking_uri)


def register(
    card: SamplerCard,
    *,
    tracking_uri: str | None = None,
    store_url: str | None = None,
    histories: Mapping[int, Mapping[str, Sequence[float]]] | None = None,
    files: Iterable[Path] = (),
) -> str:
    """File a card and return `models:/<backbone>/<version>`; a card already filed keeps its version.

    The candidate gets a run, and each of its seeds a child run with that seed's metrics and `histories`
    (seed -> metric -> value per epoch). `files` (tables, plots) lie on the candidate's run. The version comes
    last, so a registration that was cut short is as good as none. A metric that is not finite is left out.
    """
    client = _connect(tracking_uri)
    name = card.backbone.name
    if filed := _versions(client, name, f" and tags.card_sha256 = '{card.sha256}'"):
        return uri_of(name, min(int(version.version) for version in filed))
    _ensure_model(client, card)
    experiment = _ensure_experiment(client, name)
    tags = {"card_sha256": card.sha256, "fingerprint": card.backbone.fingerprint}
    run_id = client.create_run(experiment, run_name=card.title, tags=tags).info.run_id
    try:
        for seed in card.seeds:
            _log_seed(client, experiment, run_id, card, seed, (histories or {}).get(seed, {}))
        model = client.create_logged_model(
            experiment,
            card.title.replace(" ", "-"),
            source_run_id=run_id,
            tags=tags,
            params=params_of(card),
            model_type="sampler",
        )
        client.log_batch(run_id, _entries(values_of(card), model.model_id), _params(params_of(card)))
        with TemporaryDirectory() as folder:
            Path(folder, CARD_FILE).write_bytes(card.to_json().encode())
            client.log_model_artifacts(model.model_id, folder)
            client.log_artifacts(run_id, folder)
        for file in files:
            client.log_artifact(run_id, str(file))
        client.finalize_logged_model(model.model_id, "READY")
        version = client.create_model_version(
            name,
            model.artifact_location,
            run_id=run_id,
            tags=tags_of(card, store_url),
            model_id=model.model_id,
        ).version
        client.update_model_version(name, version, describe(card, uri_of(name, version)))
        client.set_logged_model_tags(model.model_id, {"uri": uri_of(name, version)})
        client.set_terminated(run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    return uri_of(name, version)


def resolve(uri: str, *, tracking_uri: str | None = None) -> Resolved:
    """The card behind `models:/NAME@ALIAS` or `models:/NAME/VERSION`, refused unless its hash is as filed."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    match = re.fullmatch(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))", uri)
    if match is None:
        raise InputError("uri", "be models:/NAME@ALIAS or models:/NAME/VERSION", uri)
    client = _connect(tracking_uri, reading=True)
    name, alias, number = match["name"], match["alias"], match["version"]
    aliases = _aliases(client, name)
    if alias and alias not in aliases:
        raise InputError(f"alias of {name}", f"be one of {_listed(aliases)}", alias)
    version = _version(client, name, aliases[alias] if alias else number)
    exact = uri_of(name, version.version)
    location = client.get_model_version_download_uri(name, version.version)
    remedy = "register it again from the store (lsd register)"
    with TemporaryDirectory() as folder:
        try:
            source = f"{location}/{CARD_FILE}"
            mlflow.artifacts.download_artifacts(source, dst_path=folder, tracking_uri=client.tracking_uri)
            text = Path(folder, CARD_FILE).read_bytes().decode()
        except (MlflowException, OSError, UnicodeDecodeError) as error:
            reason = f"{type(error).__name__} at {location}"
            raise InputError(f"card of {exact}", "be readable", reason, remedy) from None
    if text_sha256(text) != version.tags.get("card_sha256"):
        rule = f"have the sha256 it was registered with, {version.tags.get('card_sha256')}"
        raise InputError(f"card of {exact}", rule, text_sha256(text), remedy)
    card = SamplerCard.from_json(text, source=f"card of {exact}")
    return Resolved(uri=exact, card=card, store_url=version.tags.get("store"))


def list_versions(backbone: str, *, tracking_uri: str | None = None) -> list[dict[str, Any]]:
    """Every version of a backbone's samplers as plain data, by NFE, sampler, then primary metric."""
    client = _connect(tracking_uri, reading=True)
    aliases = _aliases(client, backbone)
    rows = [row_of(backbone, int(v.version), v.tags, aliases) for v in _versions(client, backbone)]
    return sorted(rows, key=rank)


def pick(
    backbone: str, *, max_nfe: int, min_entropy: float | None = None, tracking_uri: str | None = None
) -> dict[str, Any]:
    """The row of `list_versions` with the lowest primary metric within the budget and current fingerprint.

    With `min_entropy` (nats) every version that is diverse enough is a choice; without it only the champions
    `nfe<N>`, since the coldest sampler would win by drawing the same thing over and over.
    """
    rows = list_versions(backbone, tracking_uri=tracking_uri)
    current = _current_fingerprint(_connect(tracking_uri, reading=True), backbone)
    known = [row for row in rows if row["primary"] is not None and current in (None, row["fingerprint"])]
    if min_entropy is None:
        fit = [row for row in known if any(re.fullmatch(r"nfe\d+", alias) for alias in row["aliases"])]
        rule = "leave a champion within the budget"
    else:
        fit = [row for row in known if row["entropy"] is not None and row["entropy"] >= min_entropy]
        rule = f"leave a version within the budget whose entropy is at least {min_entropy:g} nat"
    within = [row for row in fit if row["nfe"] <= max_nfe]
    if not within:
        others = ", ".join(sorted({str(row["nfe"]) for row in fit}, key=int)) or "none at any NFE"
        raise InputError("max_nfe", rule, max_nfe, f"there are: {others}")
    return min(within, key=lambda row: (row["primary"], row["nfe"], row["version"]))


def set_champions(
    backbone: str, fingerprint: str, champions: Mapping[str, int | str], *, tracking_uri: str | None = None
) -> dict[str, int | None]:
    """Point each alias at its champion (alias -> version) and return who held those that moved.

    `fingerprint` becomes the current one of this backbone, and all champions must have it. Everything is
    checked before anything moves.
    """
    client = _connect(tracking_uri)
    checked = {alias: _fit(client, backbone, alias, version) for alias, version in champions.items()}
    for alias, version in checked.items():
        _check_fingerprint(backbone, alias, version, fingerprint)
    client.set_registered_model_tag(backbone, "fingerprint", fingerprint)
    held = _aliases(client, backbone)
    return {
        alias: held.get(alias)
        for alias, version in checked.items()
        if _move(client, backbone, alias, int(version.version))
    }


def promote(backbone: str, alias: str, version: int | str, *, tracking_uri: str | None = None) -> int | None:
    """Point an alias at a version of the current fingerprint, and return the version that held it."""
    client = _connect(tracking_uri)
    chosen = _fit(client, backbone, alias, version)
    _check_fingerprint(backbone, alias, chosen, _current_fingerprint(client, backbone))
    previous = _aliases(client, backbone).get(alias)
    _move(client, backbone, alias, int(chosen.version))
    return previous


def rollback(backbone: str, alias: str, *, tracking_uri: str | None = None) -> int:
    """Give an alias back to its previous holder, and return that version. Repeated, it goes further back."""
    client = _connect(tracking_uri)
    aliases = _aliases(client, backbone)
    if alias not in aliases:
        raise InputError(f"alias of {backbone}", f"be one of {_listed(aliases)}", alias)
    earlier = _history(client, backbone, alias)
    if earlier and earlier[-1] == aliases[alias]:  # a move that was cut short
        earlier.pop()
    if not earlier:
        rule, remedy = "have had an earlier holder", "move it with `lsd promote`"
        raise InputError(f"alias {alias} of {backbone}", rule, f"version {aliases[alias]} only", remedy)
    previous = _version(client, backbone, earlier[-1])
    _check_fingerprint(backbone, alias, previous, _current_fingerprint(client, backbone))
    client.set_registered_model_alias(backbone, alias, previous.version)
    client.set_registered_model_tag(backbone, _history_tag(alias), json.dumps(earlier[:-1]))
    return earlier[-1]


# --- aliases


def _fit(client: Any, backbone: str, alias: str, version: int | str) -> Any:
    """The version, if the alias `nfe<N>` or `nfe<N>-<sampler>` may mean it."""
    chosen = _version(client, backbone, version)
    match = re.fullmatch(r"nfe(?P<nfe>[1-9]\d*)(-(?P<sampler>\w+))?", alias)
    if match is None:
        raise InputError("alias", "be nfe<N> or nfe<N>-<sampler>, such as nfe8 or nfe8-euler", alias)
    for key, wanted in match.groupdict().items():
        if wanted is not None and chosen.tags.get(key) != wanted:
            field = f"version {chosen.version} of {backbone}"
            raise InputError(field, f"have {key} {wanted} to hold {alias}", chosen.tags.get(key))
    return chosen


def _check_fingerprint(backbone: str, alias: str, version: Any, current: str | None) -> None:
    found = version.tags.get("fingerprint")
    if current is not None and found != current:
        field = f"fingerprint of version {version.version} of {backbone}"
        remedy = f"{alias} moves only within the current fingerprint; distil for the current weights"
        raise InputError(field, f"be {current}", found, remedy)


def _move(client: Any, backbone: str, alias: str, version: int) -> bool:
    """Move an alias, its holder recorded first, so that a move cut short loses no name."""
    holder = _aliases(client, backbone).get(alias)
    if holder == version:
        return False
    history = _history(client, backbone, alias)
    if holder is not None and history[-1:] != [holder]:
        client.set_registered_model_tag(backbone, _history_tag(alias), json.dumps([*history, holder]))
    client.set_registered_model_alias(backbone, alias, str(version))
    return True


def _history_tag(alias: str) -> str:
    return f"history.{alias}"


def _history(client: Any, backbone: str, alias: str) -> list[int]:
    """Versions that held the alias before, oldest first."""
    return list(json.loads(client.get_registered_model(backbone).tags.get(_history_tag(alias), "[]")))


def _current_fingerprint(client: Any, backbone: str) -> str | None:
    return client.get_registered_model(backbone).tags.get("fingerprint")


# --- looking things up


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in sorted(names)) or "none so far"


def _aliases(client: Any, name: str) -> dict[str, int]:
    """Alias -> version of a registered model (a search for versions returns no aliases: mlflow#16734)."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = _listed(model.name for model in client.search_registered_models())
        remedy = "run `lsd grid` for it, or `lsd register` to rebuild the registry from the store"
        raise InputError("backbone", f"be one of the registered: {known}", name, remedy) from None
    return {alias: int(version) for alias, version in found.items()}


def _versions(client: Any, name: str, condition: str = "") -> list[Any]:
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{name}'{condition}", max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _version(client: Any, name: str, version: int | str) -> Any:
    _aliases(client, name)  # an unknown name says so
    known = {str(found.version): found for found in _versions(client, name)}
    if str(version) not in known:
        raise InputError(f"version of {name}", f"be one of {_listed(map(int, known))}", version)
    return known[str(version)]


# --- what is written


def _log_seed(
    client: Any,
    experiment: str,
    parent: str,
    card: SamplerCard,
    seed: int,
    history: Mapping[str, Sequence[float]],
) -> None:
    """A child run: one seed's own numbers. What it shares with its siblings is on the parent."""
    tags = {"mlflow.parentRunId": parent, "seed": str(seed), "shipped": str(seed == card.seed).lower()}
    run_id = client.create_run(experiment, run_name=f"{card.title} seed {seed}", tags=tags).info.run_id
    client.log_batch(run_id, _entries({**history, **seed_values_of(card, seed)}))
    client.set_terminated(run_id)


def _entries(values: Mapping[str, Sequence[float | None]], model_id: str | None = None) -> list[Any]:
    """Each series as MLflow metrics, one value a step, without what is not finite.

    MLflow would file NaN on a model as 0: the best error there is.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(re.sub(r"[^\w\-. :/]", "_", name), value, now, step, model_id=model_id)
        for name, series in values.items()
        for step, value in enumerate(series)
        if value is not None and math.isfinite(value)
    ]


def _params(facts: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in facts.items()]


def _ensure_model(client: Any, card: SamplerCard) -> None:
    from mlflow.exceptions import MlflowException

    text = f"Few-step samplers for the frozen backbone `{card.backbone.name}` ({card.backbone.family})."
    try:
        client.create_registered_model(card.backbone.name, description=text)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _ensure_experiment(client: Any, name: str) -> str:
    """The backbone's experiment. With sqlite its artifacts get an absolute place, to load from any folder."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    database = tracking.sqlite_file(client.tracking_uri)
    location = None if database is None else (database.parent / "mlartifacts" / name).as_uri()
    return client.create_experiment(name, artifact_location=location)


# --- reaching the server


def _connect(tracking_uri: str | None, *, reading: bool = False) -> Any:
    """A client that has had an answer; what cannot be reached is refused at once, by URL and variable."""
    uri = tracking.find(tracking_uri, reading=reading)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    except Exception as error:  # whatever a server, a driver or a broken file may raise: there is no registry
        raise tracking.unreachable(uri, error) from None
    return client
