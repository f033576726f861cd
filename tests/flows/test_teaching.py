"""The trajectories of a run: looked at once, made where they are missing, and shown as they come."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import flows.pipeline.driver as driver_module
from flows.config import load_grid
from flows.pipeline.driver import Driver, make_trajectories
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import LogProgress
from flows.pipeline.site import Site
from flows.pipeline.teachers import Survey, Tally, teacher_piece
from flows.settings import resolve
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.errors import Unreachable
from lsd_core.storage.store import Store
from lsd_core.trajectories import ShardRecord, load_manifest
from workers.jobs import ShardJob
from workers.worker import ShardDone, Worker

ROWS, SHARDS = 32, range(2)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The plan of the tiny grid whose two shards are on the store, and listed nowhere yet."""
    plan = make_plan(load_grid("tiny", store=str(tmp_path / "store")))
    store = Store(str(tmp_path / "store"))
    publish(load_backbone("countdown-exact"), store)
    worker = Worker(store.url)
    for index in (0, 1):
        worker.run(ShardJob(teacher=plan.teachers[0], shard=index))
    return plan


def test_a_finished_teacher_is_read_once_a_run(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    original = Store.read_bytes

    def counted(store: Store, key: str) -> bytes:
        read[key] += key.endswith(".parquet")
        return original(store, key)

    monkeypatch.setattr(Store, "read_bytes", counted)
    settings = resolve(config=plan.config.places, env={})
    driver = Driver(settings=settings, progress=LogProgress(logging.getLogger("test").info))
    counts = make_trajectories(plan, driver)  # with shards missing it would start Ray
    assert sorted(read.values())[-2:] == [1, 1]
    assert load_manifest(Store(settings.store), plan.teachers[0]).rows == ROWS
    assert (counts.reused["shards"], counts.made["shards"]) == (2, 0)


def test_a_store_that_is_away_for_a_moment_is_asked_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    away, publish = [Unreachable("store", "be reachable", "s3://x")] * 2, driver_module.publish

    def sometimes(*given: Any) -> str:
        if away:
            raise away.pop()
        return publish(*given)

    monkeypatch.setattr(driver_module, "publish", sometimes)
    monkeypatch.setattr("flows.pipeline.retries.DELAYS_S", (0, 0))
    settings = resolve(config=plan.config.places, env={})
    driver = Driver(settings=settings, progress=LogProgress(logging.getLogger("test").info))
    assert make_trajectories(plan, driver).reused["shards"] == 2
    assert caplog.text.count("tried again in 0 s") == 2


def test_a_second_try_looks_again(plan: Plan) -> None:
    (teacher,), store = plan.teachers, Store(str(plan.config.store))
    survey = Survey.of(store, teacher, SHARDS)
    assert not survey.missing
    piece = teacher_piece(Site(store), survey)
    assert next(piece.begin()) == []
    lost = next(key for key in store.list("teachers") if "shard-00001" in key)
    store.delete(lost)
    assert Survey.of(store, teacher, SHARDS).missing == [1]
    assert next(piece.begin()) == [ShardJob(teacher=teacher, shard=1)]


def test_shards_beyond_what_the_run_asks_for_are_not_read(plan: Plan) -> None:
    (teacher,), store = plan.teachers, Store(str(plan.config.store))
    Worker(store.url).run(ShardJob(teacher=teacher, shard=2))
    extra = next(key for key in store.list("teachers") if "shard-00002" in key)
    store.write_bytes(extra, b"never looked at")
    assert not Survey.of(store, teacher, SHARDS).missing


def test_the_tally_counts_trajectories_bytes_and_each_kind_of_hardware() -> None:
    def done(kind: str, seconds: float) -> ShardDone:
        record = ShardRecord(0, "0" * 64, "key", 100, 2_000_000)
        return ShardDone(record=record, generate_s=seconds - 1, commit_s=1.0, device_kind=kind)

    tally = Tally()
    for each in (done("a", 4.0), done("a", 6.0), done("b", 50.0)):
        tally.add(each)
    assert "6 MB" in tally.note
    assert "20 s a shard" in tally.note
    assert {rate.device_kind: rate.per_s for rate in tally.rates} == {"a": 20.0, "b": 2.0}


def test_a_log_line_has_the_rate_beside_the_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with LogProgress(logging.getLogger("lines").info).phase("teacher x", 10, "trajectories") as advance:
        advance(10, "3.2/s, 4 MB")
    assert "teacher x: done" in caplog.text
    assert "(3.2/s, 4 MB)" in caplog.text
