"""A plan counts what will be done, and laying out more grows no faster than what is laid out."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from flows.config import GridConfig, load_grid
from flows.pipeline.cost_lines import cost_lines, duration, size
from flows.pipeline.costs import measured_rate, plan_cost
from flows.pipeline.plan import make_plan
from flows.pipeline.simulate import candidates, plan_cells, resume, simulated_rows, write_shards
from lsd_core.errors import InputError
from lsd_core.paths.teacher_features import CACHE_BYTES
from lsd_core.storage.store import Store
from lsd_core.trajectories import encode_shard
from lsd_core.trajectories.schema import shard_bytes_at_most
from lsd_core.trajectories.throughput import Rate, read_rates, record_rate
from tests.flows.counting import PYTHON, calls_of
from workers.jobs import ShardJob
from workers.worker import ShardDone, Worker


def test_the_teachers_cost_is_its_shards_and_their_calls() -> None:
    config = load_grid(
        "tiny", **{"teacher.trajectories": 1000, "teacher.shard_rows": 64, "teacher.batch": 32}
    )
    cost = plan_cost(make_plan(config), rate=10.0)
    (teacher,) = cost.teachers
    assert (teacher.shards, teacher.trajectories) == (16, 1024)
    assert teacher.sequences == 1024 * 64  # a call for each of the 64 positions
    assert teacher.calls == 1024 // 32 * 64
    assert teacher.hours == pytest.approx(1024 / 10 / 3600)
    assert cost.cells == 2
    assert cost.hours > teacher.hours


@pytest.mark.parametrize("method", ["lsd", "lsd_plus"])
def test_what_is_kept_of_a_teacher_is_counted_where_students_are_aligned_with_it(method: str) -> None:
    without, aligned = (
        plan_cost(make_plan(load_grid("tiny", methods=methods)), rate=1.0)
        for methods in (["plain", "path_kl"], ["plain", method])
    )
    (held,), (more,) = without.memory.values(), aligned.memory.values()
    assert (held.targets, more.targets) == (0, CACHE_BYTES)
    assert more.total - held.total == CACHE_BYTES
    assert "of LSD's teacher at most 537 MB" in cost_lines(aligned)[1]


def test_an_n_step_teacher_costs_its_steps() -> None:
    plan = make_plan(load_grid("tiny", **{"teacher.method": "euler", "teacher.steps": 8}))
    assert plan_cost(plan, rate=1.0).teachers[0].sequences == 32 * 8


def test_no_shard_is_larger_than_planned() -> None:
    from lsd_core.backbones.catalog import load_backbone
    from lsd_core.candidates.teacher import generate_shard

    (spec,) = make_plan(load_grid("tiny", **{"teacher.batch": 2, "teacher.shard_rows": 2})).teachers
    data = encode_shard(generate_shard(load_backbone("countdown-exact"), spec, 0), spec)
    assert len(data) <= shard_bytes_at_most(spec)
    assert shard_bytes_at_most(spec) - len(data) < 8192 + 2 * 64 * 6


def test_a_rate_is_the_given_one_else_the_recorded_else_measured_here(tmp_path: Path) -> None:
    plan, store = make_plan(load_grid("tiny")), Store(str(tmp_path / "store"))
    (spec,) = plan.teachers
    (here,) = plan_cost(plan, store).teachers
    assert here.rate > 0
    assert "network calls on this" in here.source
    record_rate(store, spec, Rate(device_kind="NVIDIA X/1", trajectories=500, seconds=10.0))
    record_rate(store, spec, Rate(device_kind="slow", trajectories=5, seconds=10.0))
    (recorded,) = plan_cost(plan, store).teachers
    assert recorded.rate == 50.0 * 64  # the faster of the two
    assert "NVIDIA X/1" in recorded.source
    assert plan_cost(plan, store, rate=2.0).teachers[0].rate == 2.0 * 64
    with pytest.raises(InputError, match="rate must be"):
        plan_cost(plan, store, rate=0.0)


def test_a_damaged_rate_is_no_rate(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    (spec,) = make_plan(load_grid("tiny")).teachers
    record_rate(store, spec, Rate(device_kind="cpu", trajectories=5, seconds=10.0))
    (key,) = store.list("rates")
    for damage in (b"{", b'{"speed": 3}', b'{"device_kind": "cpu", "trajectories": 0, "seconds": 0}'):
        store.write_bytes(key, damage)
        assert read_rates(store, spec) == []


def test_a_worker_says_how_long_it_took(tmp_path: Path) -> None:
    from lsd_core.backbones.catalog import load_backbone
    from lsd_core.backbones.publish import publish

    store = Store(str(tmp_path / "store"))
    (spec,) = make_plan(load_grid("tiny")).teachers
    publish(load_backbone("countdown-exact"), store)
    done = Worker(store.url).run(ShardJob(teacher=spec, shard=1))
    assert isinstance(done, ShardDone)
    assert done.generate_s > 0
    assert done.commit_s > 0
    assert done.device_kind


def test_measuring_a_rate_leaves_the_threads_alone() -> None:
    import torch

    from lsd_core.backbones.catalog import load_backbone

    torch.set_num_threads(2)
    try:
        rate, source = measured_rate(load_backbone("countdown-exact"), 4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert rate > 0
    assert "network calls" in source


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (3_430_000, "3.43 MB"), (2.5e9, "2.5 GB"), (4e13, "40 TB")]
)
def test_sizes_are_shown_with_a_unit(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("hours", "text"), [(1234.5, "1,234.5 h"), (0.5, "30.0 min"), (0.001, "3.6 s")])
def test_times_are_shown_with_a_unit(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_the_command_prints_the_plan_and_makes_nothing(
    lsd_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "tiny", "--trajectories", "1000000", "--rate", "10"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "1,000,000 trajectories" in printed
    assert "62,500 shards" in printed
    assert "27.8 h of one worker" in printed
    assert not lsd_home.exists()
    with pytest.raises(SystemExit):
        main(["plan", "tiny", "--rate", "10", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["teachers"][0]["shards"] == 2
    with pytest.raises(SystemExit):
        main(["plan", "text-full", "--nfe", "8", "16", "--methods", "plain", "--samples", "64", "--json"])
    asked = json.loads(capsys.readouterr().out)
    by_hand = load_grid("text-full", nfe=[8, 16], methods=["plain"], **{"evaluation.samples": 64})
    assert (
        asked["candidates"] == len(make_plan(by_hand).candidates) == 36
    )  # 2 backbones, 2 budgets, 9 samplers
    assert any("2 shards" in line for line in cost_lines(plan_cost(make_plan(load_grid("tiny")), rate=10.0)))


def peak_of(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_cells_cost_the_driver_no_more_each_when_there_are_more() -> None:
    config = load_grid("tiny")
    plan_cells(config, 2)  # imports and caches
    few, many = (calls_of(lambda n=n: plan_cells(config, n), PYTHON) for n in (10, 40))  # type: ignore[misc]
    assert 3.6 < many / few < 4.4
    few, many = (peak_of(lambda n=n: plan_cells(config, n)) for n in (20, 160))  # type: ignore[misc]
    assert many / few < 9.6


def test_shards_cost_the_driver_no_more_each_when_there_are_more(tmp_path: Path) -> None:
    (spec,) = make_plan(load_grid("tiny")).teachers

    def work(shards: int) -> Callable[[], Any]:
        store = Store(str(tmp_path / str(shards)))
        records = write_shards(store, spec, shards)
        return lambda: resume(store, spec, records)

    work(2)()
    few, many = (calls_of(work(shards), PYTHON) for shards in (150, 600))
    assert many / few < 4.4
    few, many = (peak_of(work(shards)) for shards in (200, 800))
    assert many / few < 4.8


def test_simulated_cells_are_distinct_and_as_many_as_asked() -> None:
    config: GridConfig = load_grid("tiny")
    specs = list(candidates(config, 5))
    assert len({spec.key for spec in specs}) == len(specs)
    assert len({(spec.seed, spec.nfe, spec.sampler) for spec in specs}) == 5
    (row,) = simulated_rows(config, [(3, 64)])
    assert (row["cells"], row["trajectories"], row["shards"]) == (3, 64, 4)
