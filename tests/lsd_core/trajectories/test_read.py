"""A reader streams, trusts the manifest and nothing else, and names what is bad before it is used."""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories import (
    CorruptFileError,
    ShardRecord,
    TeacherSpec,
    Trajectories,
    concatenate,
    equal,
    publish_manifest,
    published_shards,
    read,
    read_trajectories,
    stream_shards,
)
from lsd_core.trajectories.prefetch import ahead


@pytest.fixture
def spec(make_spec: Callable[..., TeacherSpec]) -> TeacherSpec:
    """An exact teacher."""
    return make_spec()


@pytest.fixture
def records(store: Store, spec: TeacherSpec, commit: Callable[..., ShardRecord]) -> list[ShardRecord]:
    """Its six published shards."""
    made = [commit(store, spec, shard) for shard in range(6)]
    publish_manifest(store, spec, made)
    return made


@pytest.mark.parametrize("limit", [1, 5, 7, 30, None])
def test_reading_returns_the_first_trajectories(
    store: Store,
    spec: TeacherSpec,
    records: list[ShardRecord],
    draw: Callable[..., Trajectories],
    limit: int | None,
) -> None:
    everything = concatenate([draw(spec, shard) for shard in range(6)])
    assert equal(read_trajectories(store, spec, limit), everything.select(slice(0, limit)))


def test_few_shards_are_in_memory_at_once(
    store: Store, spec: TeacherSpec, records: list[ShardRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = Store.read_bytes
    monkeypatch.setattr(Store, "read_bytes", lambda self, key: reads.append(key) or read(self, key))
    for used, _ in enumerate(stream_shards(store, spec, published_shards(store, spec), prefetch=1), start=1):
        assert len(reads) - 1 <= used + 1  # one is the manifest's
    assert len(reads) == 7


def test_reading_in_one_piece_keeps_no_shard_that_it_has_copied(
    store: Store, spec: TeacherSpec, commit: Callable[..., ShardRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_manifest(store, spec, [commit(store, spec, shard) for shard in range(12)])
    seen: list[weakref.ref[Trajectories]] = []
    most, original = 0, read.read_shard

    def watched(*arguments: Any) -> Trajectories:
        nonlocal most
        shard = original(*arguments)
        seen.append(weakref.ref(shard))
        most = max(most, sum(one() is not None for one in seen))
        return shard

    monkeypatch.setattr(read, "read_shard", watched)
    assert len(read_trajectories(store, spec)) == 60
    assert len(seen) == 12
    assert most <= 5  # read ahead, waiting, being copied


def test_unlisted_shard_is_not_read(
    store: Store, spec: TeacherSpec, records: list[ShardRecord], commit: Callable[..., ShardRecord]
) -> None:
    commit(store, spec, 6)
    commit(store, spec, 0, salt=1)
    assert len(read_trajectories(store, spec)) == 30
    with pytest.raises(
        InputError, match=r"hold shards 0 to 6 for 31 trajectories, got no shard 6; .*lsd grid"
    ):
        read_trajectories(store, spec, limit=31)


def test_any_flipped_byte_is_detected_before_use(
    store: Store, spec: TeacherSpec, records: list[ShardRecord]
) -> None:
    key = records[1].key
    data = store.read_bytes(key)
    for position in range(0, len(data), 97):
        store.write_bytes(key, data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        shards = stream_shards(store, spec, published_shards(store, spec))
        assert torch.equal(next(shards).index, torch.arange(5))
        with pytest.raises(CorruptFileError, match=f"{key} must hold the {len(data)} bytes with sha256"):
            next(shards)


@pytest.mark.parametrize("damage", ["truncated", "missing", "swapped"])
def test_bad_file_is_named_with_the_remedy(
    store: Store, spec: TeacherSpec, records: list[ShardRecord], damage: str
) -> None:
    key = records[3].key
    if damage == "missing":
        store.delete(key)
    else:
        store.write_bytes(
            key, store.read_bytes(key)[:50] if damage == "truncated" else store.read_bytes(records[2].key)
        )
    with pytest.raises(CorruptFileError, match=f"{store.url}/{key} must .*; run the same `lsd grid` again"):
        read_trajectories(store, spec)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(
    store: Store, spec: TeacherSpec, records: list[ShardRecord], limit: int
) -> None:
    with pytest.raises(InputError, match=f"limit must be >= 1, got {limit}"):
        read_trajectories(store, spec, limit)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_working_ahead_keeps_the_order_and_raises_in_place(depth: int) -> None:
    def invert(x: int) -> float:
        return 1 / x

    assert list(ahead(invert, range(1, 9), depth)) == [1 / x for x in range(1, 9)]
    results: Iterator[float] = ahead(invert, [2, 1, 0, 1], depth)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
