"""A store that does not answer is not taken for one whose files are damaged, wherever these are looked through."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lsd_core.backbones import shards
from lsd_core.candidates.equal_tables import damaged_hints
from lsd_core.candidates.verify import damaged_champions, damaged_copies
from lsd_core.errors import InputError, MissingFileError, Unreachable
from lsd_core.storage.damage import damage_in, unless_damaged
from lsd_core.storage.store import Store
from lsd_core.trajectories.conditions import damaged_conditions

KEYS = (
    "conditions/a.json",
    "learned/a/0.json",
    "measured/a.json",
    "champions/a.json",
    f"backbones/a/{shards.INDEX}",
)


def refused(error: InputError) -> Callable[[], int]:
    def read() -> int:
        raise error

    return read


def test_what_is_damaged_or_missing_is_said_or_replaced() -> None:
    for error in (InputError("x", "be whole", "half"), MissingFileError("x", "exist", "no file")):
        assert damage_in(refused(error)) == str(error)
        assert unless_damaged(refused(error), 7) == 7
    assert damage_in(lambda: 3) is None
    assert unless_damaged(lambda: 3, 7) == 3
    with pytest.raises(ZeroDivisionError):
        unless_damaged(lambda: 1 // 0, 7)


@pytest.mark.parametrize(
    "look",
    [
        damaged_conditions,
        damaged_copies,
        damaged_champions,
        damaged_hints,
        lambda store: shards.damage(store, "backbones/a"),
    ],
)
def test_a_store_that_does_not_answer_is_raised(
    look: Callable[[Store], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "store"))
    for key in KEYS:
        store.write_bytes(key, b"no record")
    assert look(store)

    def away(self: Store, key: str) -> bytes:
        raise Unreachable("store", "be reachable", "s3://x")

    monkeypatch.setattr(Store, "read_bytes", away)
    with pytest.raises(Unreachable):
        look(store)
