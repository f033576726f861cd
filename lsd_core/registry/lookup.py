"""Queries of the registry: versions, aliases, and the best sampler within a budget."""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lsd_core.errors import InputError
from lsd_core.numerics.names import ALIAS, BACKBONE
from lsd_core.registry.card_fields import rank, row_of
from lsd_core.registry.connect import connect


def list_versions(backbone: str, *, tracking_uri: str | None = None) -> list[dict[str, Any]]:
    """Every version of a backbone's samplers as plain data, by NFE, sampler, then primary metric.

    A version without the tags of a card is left out.
    """
    return rows_of(connect(tracking_uri, reading=True), backbone)


def rows_of(client: Any, backbone: str) -> list[dict[str, Any]]:
    """The same from a client that is connected."""
    aliases = aliases_of(client, backbone)
    rows = []
    for found in versions_of(client, backbone):
        try:
            rows.append(row_of(backbone, int(found.version), found.tags, aliases))
        except (KeyError, ValueError):  # another program's, or somebody changed its tags
            logging.getLogger("lsd").warning("left out: version %s of %s is no card", found.version, backbone)
    return sorted(rows, key=rank)


def pick(
    backbone: str,
    *,
    max_nfe: int,
    min_entropy: float | None = None,
    given: str | None = None,
    tracking_uri: str | None = None,
) -> dict[str, Any]:
    """The row of `list_versions` with the lowest primary metric within the budget and current fingerprint.

    With `min_entropy` (nats) every version that is diverse enough is a choice; without it only the champions
    `nfe<N>`, since the coldest sampler would win by drawing the same thing over and over. `given` are the first
    digits of a set of conditions, as its aliases `nfe<N>-given-<digits>` end: only versions measured on that set
    compare, and without it only those measured with nothing given.
    """
    every = list_versions(backbone, tracking_uri=tracking_uri)
    rows = [row for row in every if row["given"] == given]
    if every and not rows:
        sets = listed({row["given"] for row in every} - {None})
        raise InputError("given", f"be a set of conditions, of which there are: {sets}", given or "nothing")
    current = current_fingerprint(connect(tracking_uri, reading=True), backbone)
    known = [row for row in rows if row["primary"] is not None and current in (None, row["fingerprint"])]
    if min_entropy is None:
        champion = r"nfe\d+" + ("" if given is None else f"-given-{re.escape(given)}")
        fit = [row for row in known if any(re.fullmatch(champion, alias) for alias in row["aliases"])]
        rule = "leave a champion within the budget"
    else:
        fit = [row for row in known if row["entropy"] is not None and row["entropy"] >= min_entropy]
        rule = f"leave a version within the budget whose entropy is at least {min_entropy:g} nat"
    within = [row for row in fit if row["nfe"] <= max_nfe]
    if not within:
        others = ", ".join(sorted({str(row["nfe"]) for row in fit}, key=int)) or "none at any NFE"
        raise InputError("max_nfe", rule, max_nfe, f"there are: {others}")
    return min(within, key=lambda row: (row["primary"], row["nfe"], row["version"]))


def listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in sorted(names)) or "none so far"


def aliases_of(client: Any, name: str) -> dict[str, int]:
    """Alias -> version of a registered model (a search for versions returns no aliases: mlflow#16734).

    What MLflow itself would not take for an alias is none: aliases stand in lines that a person may paste into a shell.
    """
    from mlflow.exceptions import MlflowException

    BACKBONE.check("backbone", name)
    try:
        found = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = listed(model.name for model in client.search_registered_models())
        remedy = "run `lsd grid` for it, or `lsd register` to rebuild the registry from the store"
        raise InputError("backbone", f"be one of the registered: {known}", name, remedy) from None
    return {alias: int(version) for alias, version in found.items() if ALIAS.fits(alias)}


def versions_of(client: Any, name: str, condition: str = "") -> list[Any]:
    found, token = [], None
    BACKBONE.check("backbone", name)  # it becomes part of a filter
    while True:
        page = client.search_model_versions(f"name = '{name}'{condition}", max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def by_number(client: Any, name: str) -> dict[str, Any]:
    """Every version of a registered model by its number."""
    aliases_of(client, name)  # an unknown name says so
    return {str(found.version): found for found in versions_of(client, name)}


def version_of(client: Any, name: str, version: int | str) -> Any:
    return version_among(by_number(client, name), name, version)


def version_among(known: Mapping[str, Any], name: str, version: int | str) -> Any:
    if str(version) not in known:
        raise InputError(f"version of {name}", f"be one of {listed(map(int, known))}", version)
    return known[str(version)]


def current_fingerprint(client: Any, backbone: str) -> str | None:
    return client.get_registered_model(backbone).tags.get("fingerprint")
