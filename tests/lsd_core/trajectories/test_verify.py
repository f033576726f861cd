"""Verification names every bad file and no good one; clearing away never touches what was published."""

import time
from collections.abc import Callable

import pytest

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories import ShardRecord, TeacherSpec, collect_garbage, publish_manifest, verify

Commit = Callable[..., ShardRecord]
DAY_S = 24 * 3600.0


@pytest.fixture
def specs(make_spec: Callable[..., TeacherSpec]) -> list[TeacherSpec]:
    """Two teachers."""
    return [make_spec(), make_spec(steps=4, backbone="text")]


@pytest.fixture
def records(store: Store, specs: list[TeacherSpec], commit: Commit) -> list[list[ShardRecord]]:
    """Three published shards of each."""
    made = [[commit(store, spec, shard) for shard in range(3)] for spec in specs]
    for spec, shards in zip(specs, made, strict=True):
        publish_manifest(store, spec, shards)
    return made


def test_sound_store_has_no_problems(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]], commit: Commit
) -> None:
    store.write_bytes("backbones/f00d.safetensors", b"not of our concern")
    commit(store, specs[0], 3)  # a run under way
    assert verify(store) == []


def test_each_bad_file_is_named(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]], commit: Commit
) -> None:
    flipped, missing, short = records[0][0].key, records[0][2].key, records[1][1].key
    unlisted = commit(store, specs[1], 7).key
    store.write_bytes(flipped, store.read_bytes(flipped)[:-1] + b"!")
    store.delete(missing)
    for key in (short, unlisted):
        store.write_bytes(key, store.read_bytes(key)[:99])
    problems = verify(store)
    assert [problem.key for problem in problems] == sorted([flipped, missing, short, unlisted])
    assert all(store.locate(problem.key) in str(problem) for problem in problems)
    assert [problem.key for problem in verify(store, "teachers/countdown")] == sorted([flipped, missing])


def test_damaged_and_missing_manifests_are_named(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]]
) -> None:
    current = [f"{spec.folder}/_manifest.json" for spec in specs]
    kept = [key for key in store.list() if "_manifest-" in key]
    store.write_bytes(current[0], b"{}")
    store.delete(current[1])
    assert [problem.key for problem in verify(store)] == sorted(current)
    for key in kept:
        store.write_bytes(key, store.read_bytes(key).replace(b'"bytes":', b'"bytes":1'))
    assert {problem.key for problem in verify(store)} == {current[0], *kept}


def test_garbage_is_old_and_in_no_manifest(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]], commit: Commit
) -> None:
    loser = max((commit(store, specs[0], 0, salt) for salt in range(1, 4)), key=lambda record: record.sha256)
    orphans = sorted(key for key in store.list() if "shard-00000" in key and specs[0].hash in key)
    orphans.remove(records[0][0].key)
    assert loser.key in orphans
    before = set(store.list())
    assert collect_garbage(store, older_than_s=DAY_S) == []
    tomorrow = time.time() + DAY_S + 60
    assert collect_garbage(store, DAY_S, now=tomorrow, dry_run=True) == orphans
    assert set(store.list()) == before
    assert collect_garbage(store, DAY_S, now=tomorrow) == orphans
    assert before - set(store.list()) == set(orphans)
    assert verify(store) == []


def test_shard_of_a_superseded_manifest_is_kept(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]], commit: Commit
) -> None:
    rivals = [commit(store, specs[0], 0, salt) for salt in range(1, 4)]
    for rival in rivals:
        publish_manifest(store, specs[0], [rival])
    assert collect_garbage(store, 0.0, now=time.time() + DAY_S) == []
    assert verify(store) == []


def test_folder_with_a_damaged_manifest_is_left_alone(
    store: Store, specs: list[TeacherSpec], records: list[list[ShardRecord]], commit: Commit
) -> None:
    orphan = commit(store, specs[0], 0, salt=1).key
    store.write_bytes(f"{specs[0].folder}/_manifest.json", b"{}")
    assert collect_garbage(store, 0.0, now=time.time() + DAY_S) == []
    assert store.exists(orphan)


def test_negative_age_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="older_than_s must be >= 0, got -1"):
        collect_garbage(store, -1.0)
