"""Register a card: a run with its metrics, a child run a seed, a logged model, a model version."""

import hashlib
import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lsd_core.cards import SamplerCard
from lsd_core.registry import tracking
from lsd_core.registry.card_fields import (
    params_of,
    run_note,
    seed_values_of,
    tags_of,
    uri_of,
    values_of,
    version_page,
)
from lsd_core.registry.connect import connect
from lsd_core.registry.lookup import versions_of
from lsd_core.registry.model_page import NOTE, about_experiment, about_model
from lsd_core.registry.pyfunc import CARD_FILE, write_model


def register(
    card: SamplerCard,
    *,
    tracking_uri: str | None = None,
    store_url: str | None = None,
    histories: Mapping[int, Mapping[str, Sequence[float]]] | None = None,
    files: Iterable[Path] = (),
) -> str:
    """Register a card and return `models:/<backbone>/<version>`; a registered card keeps its version.

    The candidate gets a run, and each of its seeds a child run with that seed's metrics and `histories`
    (seed -> metric -> value per epoch). `files` (tables, plots) lie on the candidate's run. The version comes
    last, so a registration that was cut short is as good as none. Of two that register a card at once, the one
    whose version has the higher number removes what it logged. A metric that is not finite is left out.
    """
    client = connect(tracking_uri)
    name = card.backbone.name
    if filed := _versions_of_card(client, card):
        return uri_of(name, filed[0])
    _ensure_model(client, card)
    experiment = ensure_experiment(client, name)
    tags = {"card_sha256": card.sha256, "fingerprint": card.backbone.fingerprint}
    run_id = client.create_run(experiment, run_name=card.title, tags=tags).info.run_id
    runs = [run_id]
    try:
        for seed in card.seeds:
            runs.append(_log_seed(client, experiment, run_id, card, seed, (histories or {}).get(seed, {})))
        model = client.create_logged_model(
            experiment,
            re.sub("[ .]", "-", card.title),  # MLflow takes no dot here
            source_run_id=run_id,
            tags=tags,
            params=params_of(card),
            model_type="sampler",
        )
        client.log_batch(run_id, entries(values_of(card), model.model_id), params(params_of(card)))
        with TemporaryDirectory() as folder:
            filled = Path(folder, "model")
            write_model(filled, card, store_url=store_url, run_id=run_id, model_id=model.model_id)
            client.log_model_artifacts(model.model_id, str(filled))
            client.log_artifact(run_id, str(filled / CARD_FILE))
        for file in files:
            client.log_artifact(run_id, str(file))
        client.finalize_logged_model(model.model_id, "READY")
        created = client.create_model_version(
            name,
            model.artifact_location,
            run_id=run_id,
            tags=tags_of(card, store_url),
            model_id=model.model_id,
        )
        version = str(created.version)
        first = _versions_of_card(client, card)[0]  # versions are numbered in the order in which they appear
        if first != int(version):
            _take_back(client, name, version, model.model_id, runs)
            return uri_of(name, first)
        _link(client, card, version, run_id, model.model_id)
        client.set_terminated(run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    return uri_of(name, version)


def _link(client: Any, card: SamplerCard, version: str, run_id: str, model_id: str) -> None:
    """Describe the version, its run and its logged model, each with the way to the others."""
    from mlflow.entities import LoggedModelOutput

    name = card.backbone.name
    uri = uri_of(name, version)
    client.update_model_version(name, version, version_page(card, uri))
    held = json.dumps([{"name": name, "version": version}])  # as mlflow.register_model has it
    client.set_logged_model_tags(
        model_id, {"uri": uri, NOTE: run_note(card, uri), "mlflow.modelVersions": held}
    )
    client.set_tag(run_id, NOTE, run_note(card, uri))
    client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])


def _log_seed(
    client: Any,
    experiment: str,
    parent: str,
    card: SamplerCard,
    seed: int,
    history: Mapping[str, Sequence[float]],
) -> str:
    """A child run: one seed's own numbers. What it shares with its siblings is on the parent."""
    tags = {"mlflow.parentRunId": parent, "seed": str(seed), "shipped": str(seed == card.seed).lower()}
    run_id = client.create_run(experiment, run_name=f"{card.title} seed {seed}", tags=tags).info.run_id
    client.log_batch(run_id, entries({**history, **seed_values_of(card, seed)}))
    client.set_terminated(run_id)
    return run_id


def _versions_of_card(client: Any, card: SamplerCard) -> list[int]:
    """The versions that hold this very card, lowest first."""
    found = versions_of(client, card.backbone.name, f" and tags.card_sha256 = '{card.sha256}'")
    return sorted(int(version.version) for version in found)


def _take_back(client: Any, name: str, version: str, model_id: str, runs: Iterable[str]) -> None:
    """Remove what was logged while another process registered the same card."""
    client.delete_model_version(name, version)
    client.delete_logged_model(model_id)
    for run_id in runs:
        client.set_terminated(run_id)
        client.delete_run(run_id)


def entries(values: Mapping[str, Sequence[float | None]], model_id: str | None = None) -> list[Any]:
    """Each series as MLflow metrics, one value a step, without what is not finite.

    MLflow would log NaN on a model as 0: the best error there is.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(re.sub(r"[^\w\-. :/]", "_", name), value, now, step, model_id=model_id)
        for name, series in values.items()
        for step, value in enumerate(series)
        if value is not None and math.isfinite(value)
    ]


def params(facts: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, value) for key, value in facts.items()]


def _ensure_model(client: Any, card: SamplerCard) -> None:
    from mlflow.exceptions import MlflowException

    text = about_model(card.backbone.name, card.backbone.family)
    try:
        client.create_registered_model(card.backbone.name, description=text)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def ensure_experiment(client: Any, name: str) -> str:
    """The backbone's experiment. With sqlite its artifacts get an absolute place, to load from any folder."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        for key, value in about_experiment(name).items():  # made by an earlier version, or by another program
            if found.lifecycle_stage == "active" and key not in found.tags:
                client.set_experiment_tag(found.experiment_id, key, value)
        return found.experiment_id
    database = tracking.sqlite_file(client.tracking_uri)
    location = None if database is None else (database.parent / "mlartifacts" / name).as_uri()
    try:
        return client.create_experiment(name, artifact_location=location, tags=about_experiment(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # somebody has made it since
            raise
        return client.get_experiment_by_name(name).experiment_id


def log_report(
    backbone: str, files: Sequence[Path], *, title: str, tracking_uri: str | None = None
) -> tuple[str, str | None]:
    """Log a report of a backbone's samplers as a run of its own; returns the run's id and its page, if served.

    The first of the files names the content: the same report is logged once.
    """
    client = connect(tracking_uri)
    experiment = ensure_experiment(client, backbone)
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    known = client.search_runs(
        [experiment], f"tags.report_sha256 = '{digest}' and attributes.status = 'FINISHED'", max_results=1
    )
    if known:
        run_id = known[0].info.run_id
    else:
        tags = {"kind": "report", "report_sha256": digest}
        run_id = client.create_run(experiment, run_name=title, tags=tags).info.run_id
        for file in files:
            client.log_artifact(run_id, str(file))
        client.set_terminated(run_id)
    if not client.tracking_uri.startswith("http"):
        return run_id, None
    base = client.tracking_uri.rstrip("/")
    return run_id, f"{base}/#/experiments/{experiment}/runs/{run_id}/artifacts/{files[0].name}"
