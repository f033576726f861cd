"""Aliases such as `nfe8`: the version each points at, its history, and the rules for moving it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from lsd_core.errors import InputError
from lsd_core.numerics.plain_text import parse_json
from lsd_core.registry.connect import connect
from lsd_core.registry.lookup import (
    aliases_of,
    by_number,
    current_fingerprint,
    listed,
    rows_of,
    version_among,
    version_of,
)
from lsd_core.registry.model_page import model_page
from lsd_core.registry.over_nfe import log_over_nfe
from lsd_core.registry.writing import ensure_experiment

GIVEN = "given"  # the tag of a version for conditions: the first digits of their digest
ALIAS = rf"nfe(?P<nfe>[1-9]\d*)(-(?P<sampler>(?!given-)[\w-]+?))?(-given-(?P<{GIVEN}>[0-9a-f]{{8}}))?"


def set_champions(
    backbone: str, fingerprint: str, champions: Mapping[str, int | str], *, tracking_uri: str | None = None
) -> dict[str, int | None]:
    """Point each alias at its champion (alias -> version) and return who held those that moved.

    `fingerprint` becomes the current one of this backbone, and all champions must have it. Everything is
    checked before anything moves.
    """
    client = connect(tracking_uri)
    known = by_number(client, backbone)
    checked = {alias: _fit(known, backbone, alias, version) for alias, version in champions.items()}
    for alias, version in checked.items():
        _check_fingerprint(backbone, alias, version, fingerprint)
    client.set_registered_model_tag(backbone, "fingerprint", fingerprint)
    held = aliases_of(client, backbone)
    moved = {
        alias: held.get(alias)
        for alias, version in checked.items()
        if held.get(alias) != int(version.version) and _move(client, backbone, alias, int(version.version))
    }
    rows = _describe(client, backbone)
    log_over_nfe(client, ensure_experiment(client, backbone), rows, fingerprint)
    return moved


def promote(backbone: str, alias: str, version: int | str, *, tracking_uri: str | None = None) -> int | None:
    """Point an alias at a version of the current fingerprint, and return the version that held it."""
    client = connect(tracking_uri)
    chosen = _fit(by_number(client, backbone), backbone, alias, version)
    _check_fingerprint(backbone, alias, chosen, current_fingerprint(client, backbone))
    previous = aliases_of(client, backbone).get(alias)
    _move(client, backbone, alias, int(chosen.version))
    _describe(client, backbone)
    return previous


def rollback(backbone: str, alias: str, *, tracking_uri: str | None = None) -> int:
    """Give an alias back to its previous holder, and return that version. Repeated, it goes further back."""
    client = connect(tracking_uri)
    aliases = aliases_of(client, backbone)
    if alias not in aliases:
        raise InputError(f"alias of {backbone}", f"be one of {listed(aliases)}", alias)
    earlier = _history(client, backbone, alias)
    if earlier and earlier[-1] == aliases[alias]:  # a move that was cut short
        earlier.pop()
    if not earlier:
        rule, remedy = "have had an earlier holder", "move it with `lsd promote`"
        raise InputError(f"alias {alias} of {backbone}", rule, f"version {aliases[alias]} only", remedy)
    previous = version_of(client, backbone, earlier[-1])
    _check_fingerprint(backbone, alias, previous, current_fingerprint(client, backbone))
    client.set_registered_model_alias(backbone, alias, previous.version)
    client.set_registered_model_tag(backbone, _history_tag(alias), json.dumps(earlier[:-1]))
    _describe(client, backbone)
    return earlier[-1]


def _fit(known: Mapping[str, Any], backbone: str, alias: str, version: int | str) -> Any:
    """The version among those known, if the alias `nfe<N>` or `nfe<N>-<sampler>` may mean it; one for conditions ends
    in `-given-<digest>`, and no other does."""
    chosen = version_among(known, backbone, version)
    match = re.fullmatch(ALIAS, alias)
    if match is None:
        raise InputError("alias", "be nfe<N> or nfe<N>-<sampler>, such as nfe8 or nfe8-euler", alias)
    for key, wanted in match.groupdict().items():
        if (wanted is not None or key == GIVEN) and chosen.tags.get(key) != wanted:
            field = f"version {chosen.version} of {backbone}"
            raise InputError(field, f"have {key} {wanted or 'nothing'} to hold {alias}", chosen.tags.get(key))
    return chosen


def _check_fingerprint(backbone: str, alias: str, version: Any, current: str | None) -> None:
    found = version.tags.get("fingerprint")
    if current is not None and found != current:
        field = f"fingerprint of version {version.version} of {backbone}"
        remedy = f"{alias} moves only within the current fingerprint; distil for the current weights"
        raise InputError(field, f"be {current}", found, remedy)


def _move(client: Any, backbone: str, alias: str, version: int) -> bool:
    """Move an alias, its holder recorded first, so that a move cut short loses no name."""
    holder = aliases_of(client, backbone).get(alias)
    if holder == version:
        return False
    history = _history(client, backbone, alias)
    if holder is not None and history[-1:] != [holder]:
        client.set_registered_model_tag(backbone, _history_tag(alias), json.dumps([*history, holder]))
    client.set_registered_model_alias(backbone, alias, str(version))
    return True


def _describe(client: Any, backbone: str) -> list[dict[str, Any]]:
    """Write the champions into the description of the registered model; returns the rows of its versions."""
    rows = rows_of(client, backbone)
    present = client.get_registered_model(backbone).description or ""
    page = model_page(backbone, present, rows, ensure_experiment(client, backbone))
    if page != present:
        client.update_registered_model(backbone, page)
    return rows


def _history_tag(alias: str) -> str:
    return f"history.{alias}"


def _history(client: Any, backbone: str, alias: str) -> list[int]:
    """Versions that held the alias before, oldest first; InputError where the tag is none that we wrote."""
    tag = _history_tag(alias)
    earlier = parse_json(
        client.get_registered_model(backbone).tags.get(tag, "[]"), f"tag {tag} of {backbone}"
    )
    if not isinstance(earlier, list) or not all(type(version) is int for version in earlier):
        rule, remedy = "be a list of versions", "remove that tag of the registered model: no sampler is lost"
        raise InputError(f"tag {tag} of {backbone}", rule, earlier, remedy)
    return earlier
