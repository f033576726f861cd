"""Whatever the order, the kills and the rivals, what is published is complete, valid and never lost."""

import hashlib
import itertools
from collections.abc import Callable

import pytest

from lsd_core.storage.store import Store
from lsd_core.trajectories import (
    CorruptFileError,
    ShardRecord,
    TeacherSpec,
    committed,
    load_manifest,
    publish_manifest,
    read_trajectories,
    verify,
)

Make = Callable[..., TeacherSpec]
Commit = Callable[..., ShardRecord]


def contents(store: Store) -> dict[str, bytes]:
    """Every file of a store."""
    return {key: store.read_bytes(key) for key in store.list()}


def flip(store: Store, key: str, position: int = -1) -> None:
    """Damage one byte of a file."""
    data = bytearray(store.read_bytes(key))
    data[position] ^= 1
    store.write_bytes(key, bytes(data))


def test_name_carries_the_hash_of_the_content(store: Store, make_spec: Make, commit: Commit) -> None:
    spec = make_spec()
    record = commit(store, spec, 17)
    sha256 = hashlib.sha256(store.read_bytes(record.key)).hexdigest()
    assert record.key == f"teachers/countdown/{spec.hash}/shard-00017-{sha256[:8]}.parquet"
    assert (record.sha256, record.rows, record.bytes) == (sha256, 5, len(store.read_bytes(record.key)))


def test_nothing_is_published_before_the_manifest(store: Store, make_spec: Make, commit: Commit) -> None:
    spec = make_spec()
    records = [commit(store, spec, shard) for shard in range(2)]
    with pytest.raises(CorruptFileError, match=r"_manifest.json must exist.*lsd grid"):
        load_manifest(store, spec)
    published = publish_manifest(store, spec, records)
    assert load_manifest(store, spec) == published
    assert published.shards == tuple(records)
    assert published.rows == 10


def test_order_retries_and_interruptions_leave_no_trace(
    store: Store, make_spec: Make, commit: Commit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = make_spec()
    publish_manifest(store, spec, [commit(store, spec, shard) for shard in range(3)])
    other = Store(str(tmp_path_factory.mktemp("other")))
    for shard in (2, 0, 2):  # killed here, then resumed
        commit(other, spec, shard)
    resumed = committed(other, spec)
    assert sorted(resumed) == [0, 2]
    publish_manifest(other, spec, [commit(other, spec, 1), resumed[2], resumed[0]])
    publish_manifest(other, spec, committed(other, spec).values())
    assert contents(other) == contents(store)


def test_committing_again_writes_nothing(
    store: Store, make_spec: Make, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec()
    record = commit(store, spec, 0)
    monkeypatch.setattr(Store, "write_bytes", lambda *_: pytest.fail("overwritten"))
    assert commit(store, spec, 0) == record


def test_data_set_grows_and_its_old_shards_stay(store: Store, make_spec: Make, commit: Commit) -> None:
    spec = make_spec()
    before = publish_manifest(store, spec, [commit(store, spec, 0)])
    kept = contents(store)
    after = publish_manifest(store, spec, [commit(store, spec, 1)])
    assert after.shards[:1] == before.shards
    assert len(after.shards) == 2
    manifest = f"{spec.folder}/_manifest.json"
    assert {key: data for key, data in contents(store).items() if key in kept and key != manifest} == {
        key: data for key, data in kept.items() if key != manifest
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_rivals_agree_on_the_smallest_digest_whoever_is_last(
    store: Store, make_spec: Make, commit: Commit, order: tuple[int, ...]
) -> None:
    spec = make_spec()
    records = [commit(store, spec, 0, salt) for salt in range(3)]
    assert len({record.key for record in records}) == 3
    for writer in order:
        publish_manifest(store, spec, [records[writer], commit(store, spec, 1 + writer)])
    manifest = load_manifest(store, spec)
    assert manifest.by_index[0].sha256 == min(record.sha256 for record in records)
    assert sorted(manifest.by_index) == [0, 1, 2, 3]
    assert all(store.exists(record.key) for record in records)


def test_publishing_between_a_rivals_look_and_write_loses_no_shard(
    store: Store, make_spec: Make, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec()
    mine, theirs = commit(store, spec, 0), commit(store, spec, 1)
    write = Store.write_bytes

    def rival_first(self: Store, key: str, data: bytes) -> None:
        if key.endswith("/_manifest.json"):
            monkeypatch.setattr(Store, "write_bytes", write)
            publish_manifest(store, spec, [theirs])  # they finish here; the write that follows is stale
        write(self, key, data)

    monkeypatch.setattr(Store, "write_bytes", rival_first)
    publish_manifest(store, spec, [mine])
    assert load_manifest(store, spec).shards == (mine, theirs)


def test_resume_takes_what_is_intact_and_repair_restores_the_rest(
    store: Store, make_spec: Make, commit: Commit
) -> None:
    spec = make_spec()
    records = [commit(store, spec, shard) for shard in range(3)]
    publish_manifest(store, spec, records)
    calm = contents(store)
    flip(store, records[0].key)
    store.write_bytes(records[2].key, store.read_bytes(records[2].key)[:100])
    assert committed(store, spec) == {1: records[1]}
    publish_manifest(store, spec, [commit(store, spec, shard) for shard in (0, 2)])
    assert contents(store) == calm


def test_what_is_committed_is_found_in_one_listing(
    store: Store, make_spec: Make, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec()
    records = [commit(store, spec, shard) for shard in range(3)]
    publish_manifest(store, spec, records)
    listed, list_them = list[str](), Store.list
    monkeypatch.setattr(
        Store, "list", lambda store, prefix: listed.append(prefix) or list_them(store, prefix)
    )
    assert list(committed(store, spec).values()) == records
    assert listed == [spec.folder]


@pytest.mark.parametrize(("here", "there"), [(0, 1), (1, 0)])  # one of them has the smaller digest
def test_repair_on_another_machine_replaces_only_what_was_lost(
    store: Store, make_spec: Make, commit: Commit, here: int, there: int
) -> None:
    spec = make_spec()
    records = [commit(store, spec, shard, here) for shard in range(2)]
    publish_manifest(store, spec, records)
    flip(store, records[0].key)
    other = [commit(store, spec, shard, there) for shard in range(2)]
    assert committed(store, spec) == {0: other[0], 1: records[1]}  # what is published is not replaced
    publish_manifest(store, spec, committed(store, spec).values())
    assert load_manifest(store, spec).shards == (other[0], records[1])
    assert verify(store) == []


def test_damaged_manifest_is_refused_and_rebuilt(store: Store, make_spec: Make, commit: Commit) -> None:
    spec = make_spec()
    publish_manifest(store, spec, [commit(store, spec, 0)])
    calm = contents(store)
    key = f"{spec.folder}/_manifest.json"
    for damaged in (b"", b"[]", calm[key][:-2], calm[key].replace(b'"seed":3', b'"seed":4')):
        store.write_bytes(key, damaged)
        with pytest.raises(CorruptFileError, match=r"_manifest.json must be a manifest.*lsd grid"):
            load_manifest(store, spec)
        publish_manifest(store, spec, committed(store, spec).values())
        assert contents(store) == calm


def test_folder_may_move(store: Store, make_spec: Make, commit: Commit) -> None:
    spec = make_spec()
    publish_manifest(store, spec, [commit(store, spec, 0)])
    assert verify(Store(store.locate(spec.folder))) == []
    assert len(read_trajectories(store, spec)) == 5
