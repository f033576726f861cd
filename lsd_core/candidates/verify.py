"""The files of cells and of champions checked: each against its digest, and a card against what it repeats.

A card repeats its table, every seed's metrics and its certificate, and its folder is named by the hash of its
specification, so that in a store of an earlier version, without digests, a digit that changed shows too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lsd_core.candidates.reading import (
    across_key,
    card_bytes,
    read_across,
    read_card,
    read_learned,
    read_measurement,
    scores_key,
)
from lsd_core.candidates.spec import PARTS
from lsd_core.cards import Metric, SamplerCard, plain
from lsd_core.errors import InputError, Unreachable
from lsd_core.storage.damage import damage_in, unless_damaged
from lsd_core.storage.sealed import REMEDY as SEALED_REMEDY
from lsd_core.storage.sealed import read_sealed
from lsd_core.storage.store import Store
from lsd_core.trajectories.prefetch import ahead

CARD = "card.json"
REMEDY = "delete the cell's folder and run the same `lsd grid` again"


@dataclass(frozen=True)
class Checked:
    """What was found in the files of cells."""

    problems: dict[str, str] = field(default_factory=dict)
    """Why a file is bad, by its key."""
    spoiled: set[str] = field(default_factory=set)
    """Keys of results that are not to be used: of bad files, and of those whose cell contradicts itself."""
    unsealed: set[str] = field(default_factory=set)
    """Folders of cells whose card carries no digest, since an earlier version wrote it."""


def check_cells(
    store: Store, places: Collection[str] | None = None, keys: Iterable[str] | None = None
) -> Checked:
    """Read every file of cells once and verify it; only of some folders and keys, where they are named.

    `keys` are those of `cells`, where the caller has listed it. What teachers' own sequences scored lies beside the
    folders, in `cells` itself.
    """
    checked, groups = Checked(), defaultdict[str, list[str]](list)
    for key in store.list("cells") if keys is None else keys:
        folder, _, _ = key.rpartition("/")
        if places is None or folder in places or key in places:
            groups[key if folder == "cells" else folder].append(key)
    for found in ahead(lambda group: _check_together(store, group), groups.values()):
        checked.problems.update(found.problems)
        checked.spoiled.update(found.spoiled)
        checked.unsealed.update(found.unsealed)
    return checked


def _check_together(store: Store, keys: list[str]) -> Checked:
    """The files of one folder."""
    checked, read = Checked(), dict[str, Any]()
    for key in sorted(keys):
        try:
            read[key] = _read(store, key)
        except Unreachable:
            raise
        except InputError as error:
            scores = scores_key(key)
            bad = scores if store.locate(scores) in str(error) else key
            checked.problems[bad] = str(error)
            checked.spoiled.update(_lost_with(bad))
    whole = {key.rpartition("/")[2]: found for key, found in read.items() if key not in checked.spoiled}
    if CARD not in whole:
        return checked
    folder, (card, sealed) = keys[0].rpartition("/")[0], whole[CARD]
    if not sealed:
        checked.unsealed.add(folder)
    for name, rule in _contradictions(whole, card):
        key = f"{folder}/{name}"
        checked.problems[key] = f"{store.locate(key)} must {rule}; {REMEDY}"
        if not sealed:  # which of the two is wrong cannot be told
            checked.spoiled.update(keys)
    return checked


def damaged_cells(store: Store) -> dict[str, str]:
    """Files of cells and of champions, and copies of tables, that are bad, and why: one line each, by key."""
    return check_cells(store).problems | damaged_champions(store) | damaged_copies(store)


def damaged_copies(store: Store) -> dict[str, str]:
    """Copies of tables that are bad, and why; a run learns anew what it finds no good copy of."""
    found = dict[str, str]()
    for key in store.list("learned"):
        if reason := damage_in(partial(read_learned, store, key)):
            found[key] = f"{reason}, or delete this copy"
    return found


def damaged_champions(store: Store) -> dict[str, str]:
    """Records of champions that are bad or name no card of the store, and why."""
    found, keys = dict[str, str](), store.list("champions")
    cards = [key for key in store.list("cells") if keys and key.endswith(f"/{CARD}")]
    hashes = set(ahead(lambda key: _hash(store, key), cards))
    for key in keys:
        if reason := damage_in(partial(_check_champions, store, key, hashes)):
            found[key] = reason
    return found


def _check_champions(store: Store, key: str, hashes: Collection[str]) -> None:
    """Raise InputError unless a record of champions names cards with these hashes."""
    held = read_sealed(store, key).get("champions")
    if not isinstance(held, dict):
        raise InputError(store.locate(key), "be a record of champions", held, SEALED_REMEDY)
    if any(sha not in hashes for sha in held.values()):
        raise InputError(store.locate(key), "name cards of the store", "another sha256", SEALED_REMEDY)


def _hash(store: Store, key: str) -> str:
    """Of a card, if it is whole."""
    card = unless_damaged(lambda: read_card(store, key), None)
    return "" if card is None else card.sha256


def _read(store: Store, key: str) -> Any:
    """What a file holds, if it is what its digest and its kind say; None of a kind that belongs to another."""
    name = key.rpartition("/")[2]
    store.memory.forget(key)  # what lies there now
    if name == CARD:
        return _checked_card(store, key)
    if name.startswith("table-"):
        return read_learned(store, key)
    if name.startswith("certificate-"):
        return read_sealed(store, key)
    if name.endswith("-across.parquet"):
        return read_across(store, key)
    return read_measurement(store, key) if name.endswith(".json") else None


def _lost_with(key: str) -> set[str]:
    """The keys of results that a bad file takes with it: of a measurement that cannot be read nothing counts."""
    record = key.removesuffix("-across.parquet").removesuffix(".parquet").removesuffix(".json") + ".json"
    return {key, record, across_key(record)}


def _checked_card(store: Store, key: str) -> tuple[SamplerCard, bool]:
    """A card and whether it carries a digest; InputError unless it is as we write it, in the folder of its
    specification."""
    data, where, folder = card_bytes(store, key), store.locate(key), key.split("/")[-2]
    card = SamplerCard.from_json(data, source=where)
    sealed = data == card.sealed_json().encode()
    if not sealed and data != card.to_json().encode():
        raise InputError(where, "be the canonical JSON of its card", "other bytes", SEALED_REMEDY)
    if folder != card.provenance.config_hash[:16]:
        raise InputError(where, f"lie in cells/{card.provenance.config_hash[:16]}", folder, SEALED_REMEDY)
    return card, sealed


def _contradictions(read: Mapping[str, Any], card: SamplerCard) -> Iterator[tuple[str, str]]:
    """(name, what must hold there) for each file of the folder, as read, that the card does not repeat."""
    run = card.seed if f"table-{card.seed}.json" in read else 0  # a control has one table for all seeds
    table, certificate = f"table-{run}.json", f"certificate-{run}.json"
    if table in read and read[table].table != card.table:
        yield table, "hold the table of its card"
    if certificate in read and read[certificate] != card.certificate:
        yield certificate, "hold the certificate of its card"
    for part in PARTS:
        repeated: dict[str, Metric] = getattr(card.evaluation, part)
        for index in range(len(card.seeds)):
            name = f"{part}-{index}-T1.json"
            told = {key: metric.per_seed[index] for key, metric in repeated.items() if metric.per_seed}
            if name in read:
                metrics = plain(read[name].metrics)
                if any(metrics.get(key) != value for key, value in told.items()):
                    yield name, "hold the metrics that its card repeats"
