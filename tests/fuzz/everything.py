"""All inputs, functions of one seed."""

import tarfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from random import Random

from lsd_core.storage.sealed import write_sealed
from lsd_core.storage.store import Store
from tests.fuzz.cards import cards
from tests.fuzz.commands import commands
from tests.fuzz.configs import grids, studies
from tests.fuzz.given import given
from tests.fuzz.outcomes import Case
from tests.fuzz.stored import TEMPLATES, stored
from tests.fuzz.weights import checkpoints, weights

PUBLISHED = Path(__file__).parents[1] / "published" / "home.tar.xz"


KINDS = ("grid", "conditions", "study", "card", "stored", "weights", "checkpoint", "command")


def all_cases(folder: Path, seed: int = 0, times: int = 1, kinds: Collection[str] = KINDS) -> Iterator[Case]:
    """About 1100 of them, `times` as many."""
    made = {kind: folder / kind for kind in KINDS}
    for each in made.values():
        each.mkdir()
    store = _published(folder)
    card = min(
        key for key in store.list("cells") if key.endswith("card.json") and _is_lsd(store.read_bytes(key))
    )
    makers: dict[str, Callable[[Path, Random, int], Iterator[Case]]] = {
        "grid": grids,
        "conditions": given,
        "study": studies,
        "card": partial(cards, store.read_bytes(card).decode()),
        "stored": partial(stored, store),
        "weights": weights,
        "checkpoint": checkpoints,
        "command": partial(commands, Path(store.locate(card))),
    }
    numbers = {
        "grid": 200,
        "conditions": 50,
        "study": 80,
        "card": 140,
        "stored": 12,
        "weights": 40,
        "checkpoint": 40,
        "command": 144,
    }
    for kind in kinds:
        yield from makers[kind](made[kind], Random(f"{kind} {seed}"), numbers[kind] * times)


def _is_lsd(card: bytes) -> bool:
    """Of the exact backbone, with what was learned."""
    return b'"method":"lsd"' in card and b'"name":"countdown-exact"' in card


def _published(folder: Path) -> Store:
    """The store of version 0.1.0, with the records that it had elsewhere or not at all."""
    with tarfile.open(PUBLISHED) as archive:
        members = [member for member in archive if member.name.lstrip("./").startswith("store/")]
        archive.extractall(folder, members, filter="data")
    store = Store(str(folder / "store"))
    TEMPLATES.publish(store)
    held = {"nfe4": "0" * 64}
    write_sealed(store, "fuzz/champions.json", {"backbone": "x", "fingerprint": "0" * 64, "champions": held})
    write_sealed(store, "fuzz/batch.json", {"batch": 8, "memory_bytes": 2**30, "backbone": "x"})
    return store
