"""The trajectories of a run: looked at once, made where they are missing, and shown as they come."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from flows.pipeline.progress import LogProgress
from flows.pipeline.run import Run
from flows.pipeline.teacher_work import Tally, generate_teacher, lacks
from flows.settings import resolve
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories import ShardRecord, load_manifest
from workers.teacher import ShardDone, TeacherWorker


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of the tiny grid whose two shards are on the store, and listed nowhere yet."""
    config = load_grid("tiny", store=str(tmp_path / "store"))
    run = Run(
        make_plan(config), resolve(config=config.places, env={}), LogProgress(logging.getLogger("test").info)
    )
    publish(load_backbone("countdown-exact"), run.store)
    worker = TeacherWorker(run.store.url, run.plan.teachers[0].to_dict())
    for index in (0, 1):
        worker.run(index)
    return run


def test_a_finished_teacher_is_read_once_a_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    original = Store.read_bytes

    def counted(store: Store, key: str) -> bytes:
        read[key] += key.endswith(".parquet")
        return original(store, key)

    monkeypatch.setattr(Store, "read_bytes", counted)
    (teacher,) = run.plan.teachers
    assert not lacks(run, teacher)
    generate_teacher(run, teacher)
    assert sorted(read.values())[-2:] == [1, 1]
    assert load_manifest(run.store, teacher).rows == 32
    assert (run.reused["shards"], run.made["shards"]) == (2, 0)


def test_a_second_try_looks_again(run: Run) -> None:
    (teacher,) = run.plan.teachers
    generate_teacher(run, teacher)
    assert run.surveys == {}
    lost = next(key for key in run.store.list("teachers") if key.endswith(".parquet"))
    run.store.delete(lost)
    assert lacks(run, teacher)


def test_shards_beyond_what_the_run_asks_for_are_not_read(run: Run) -> None:
    (teacher,) = run.plan.teachers
    TeacherWorker(run.store.url, teacher.to_dict()).run(2)
    extra = next(key for key in run.store.list("teachers") if "shard-00002" in key)
    run.store.write_bytes(extra, b"never looked at")
    assert not lacks(run, teacher)


def test_the_tally_counts_trajectories_bytes_and_each_kind_of_hardware() -> None:
    def done(kind: str, seconds: float) -> ShardDone:
        record = ShardRecord(0, "0" * 64, "key", 100, 2_000_000)
        return ShardDone(record=record, generate_s=seconds - 1, commit_s=1.0, device_kind=kind)

    tally = Tally()
    for shard in (done("a", 4.0), done("a", 6.0), done("b", 50.0)):
        tally.add(shard)
    assert "6 MB" in tally.note
    assert "20 s a shard" in tally.note
    assert {rate.device_kind: rate.per_s for rate in tally.rates} == {"a": 20.0, "b": 2.0}


def test_a_log_line_has_the_rate_beside_the_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with LogProgress(logging.getLogger("lines").info).phase("teacher x", 10, "trajectories") as advance:
        advance(10, "3.2/s, 4 MB")
    assert "teacher x: done" in caplog.text
    assert "(3.2/s, 4 MB)" in caplog.text
