"""Cards checked against the files of their cells: what a card repeats must be what the cell's files say.

A card repeats its table, every seed's metrics and its certificate, and its folder is named by the hash of its
specification, so that a digit that changed in either place shows.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.storage.store import Store

CARD = "card.json"
REMEDY = "delete the cell's folder and run the same `lsd grid` again"


def damaged_cells(store: Store) -> dict[str, str]:
    """Files of cells and of champions that are not as the others say, and why: one line each, by key."""
    found: dict[str, str] = {}
    folders: dict[str, set[str]] = defaultdict(set)
    for key in store.list("cells"):
        folder, _, name = key.removeprefix("cells/").rpartition("/")
        folders[folder].add(name)
    hashes = set[str]()
    for folder, names in folders.items():
        if CARD in names:
            key = f"cells/{folder}/{CARD}"
            try:
                card = _card(store, key, folder)
                hashes.add(card.sha256)
                for where, reason in _contradictions(store, folder, names, card):
                    found[where] = f"{store.locate(where)} must {reason}; {REMEDY}"
            except InputError as error:
                found[key] = str(error)
    for key in store.list("champions"):
        try:
            missing = set(store.read_json(key)["champions"].values()) - hashes
            if missing:
                rule, shown = "name cards of the store", f"{len(missing)} that are none"
                raise InputError(store.locate(key), rule, shown, "run the same `lsd grid` again")
        except InputError as error:
            found[key] = str(error)
        except (KeyError, TypeError, AttributeError) as error:
            found[key] = f"{store.locate(key)} must be a record of champions, got {error!r}"
    return found


def _card(store: Store, key: str, folder: str) -> SamplerCard:
    """The card in a file; InputError unless it is as we write it, in the folder of its specification."""
    data, where = store.read_bytes(key), store.locate(key)
    try:
        card = SamplerCard.from_json(data.decode(), source=where)
    except UnicodeDecodeError as error:
        raise InputError(where, "be text in UTF-8", error.reason, REMEDY) from None
    if card.to_json().encode() != data:
        raise InputError(where, "be the canonical JSON of its card", "other bytes", REMEDY)
    if folder != card.provenance.config_hash[:16]:
        raise InputError(where, f"lie in cells/{card.provenance.config_hash[:16]}", folder, REMEDY)
    return card


def _contradictions(
    store: Store, folder: str, names: set[str], card: SamplerCard
) -> Iterator[tuple[str, str]]:
    """(key, what must hold there) for each file of the folder that the card does not repeat."""

    def read(name: str) -> Any:
        return store.read_json(f"cells/{folder}/{name}")

    run = card.seed if f"table-{card.seed}.json" in names else 0  # a control has one table for all seeds
    if f"table-{run}.json" in names and read(f"table-{run}.json").get("table") != card.table.to_dict():
        yield f"cells/{folder}/table-{run}.json", "hold the table of its card"
    if f"certificate-{run}.json" in names and read(f"certificate-{run}.json") != card.certificate:
        yield f"cells/{folder}/certificate-{run}.json", "hold the certificate of its card"
    for part in ("selection", "report"):
        repeated = getattr(card.evaluation, part)
        for index in range(len(card.seeds)):
            name = f"{part}-{index}-T1.json"
            measured = read(name).get("metrics", {}) if name in names else {}
            told = {key: metric.per_seed[index] for key, metric in repeated.items() if metric.per_seed}
            if name in names and any(measured.get(key) != value for key, value in told.items()):
                yield f"cells/{folder}/{name}", "hold the metrics that its card repeats"
