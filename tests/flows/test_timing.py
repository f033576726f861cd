"""A run's ledger: stages, start-up apart, shares outside the network; the same after a round trip."""

import time
from pathlib import Path

import pytest

from flows.bench.grid import figures_of
from flows.pipeline.timing import Stage, Timing, seconds_under
from workers.jobs import ShardJob
from workers.timing import Spent


def spent(**changes: float) -> Spent:
    values = {"began": time.time(), "wall_s": 2.0, "network_s": 1.5, "cpu_s": 1.0, "network_cpu_s": 0.8}
    return Spent(**(values | changes))


@pytest.fixture
def ledger() -> Timing:
    """Two workers for 10 s of which 1 s is start-up, then 3 s of the driver."""
    work = Stage(
        wall_s=10, start_up_s=1, workers=2, jobs=5, busy_s=16, network_s=12, cpu_s=8, network_cpu_s=6
    )
    return Timing({"distil": work, "register": Stage(wall_s=3)})


def test_the_share_outside_counts_idle_workers_and_the_drivers_own_stages(ledger: Timing) -> None:
    wall, cpu = ledger.outside()
    assert wall == pytest.approx(1 - 12 / (2 * (9 + 3)))
    assert cpu == pytest.approx(1 - 6 / 8)


def test_a_ledger_on_disk_is_the_ledger(ledger: Timing, tmp_path: Path) -> None:
    ledger.write_stages(tmp_path)
    assert Timing.read(tmp_path) == ledger


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"a": 1}', '{"a": {"x": 1}}', '{"a": {"tables": "7"}}', "\xff"]
)
def test_a_damaged_file_of_seconds_tells_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "seconds.json").write_text(text, encoding="latin-1")
    assert seconds_under(tmp_path) == {}


JOB = ShardJob(teacher=None, shard=0)  # type: ignore[arg-type]


def test_a_stage_adds_its_jobs_and_sets_its_start_up_apart() -> None:
    ledger = Timing()
    with ledger.pool(workers=2) as entry:
        time.sleep(0.05)
        entry.add("distil", JOB, spent())
        entry.add("distil", JOB, spent(network_s=0.5))
    stage = ledger.stages["distil"]
    assert (stage.jobs, stage.busy_s, stage.network_s, stage.workers) == (2, 4.0, 2.0, 2)
    assert 0.05 <= stage.start_up_s <= stage.wall_s
    start_up_s = stage.start_up_s
    with ledger.pool(workers=1) as entry:
        entry.add("distil", JOB, spent(began=time.time() - 100))  # a worker whose clock is late
    assert ledger.stages["distil"].start_up_s == pytest.approx(start_up_s)
    assert (stage.jobs, stage.workers) == (3, 2)


def test_stages_that_overlap_share_the_wall_time_as_they_keep_the_workers_busy() -> None:
    ledger = Timing()
    with ledger.pool(workers=2) as entry:
        time.sleep(0.05)
        entry.add("distil", JOB, spent(wall_s=3.0))
        entry.add("certify", JOB, spent(wall_s=1.0))
    distil, certify = ledger.stages["distil"], ledger.stages["certify"]
    assert distil.wall_s == pytest.approx(3 * certify.wall_s)
    assert 0.05 <= distil.start_up_s + certify.start_up_s <= distil.wall_s + certify.wall_s < 1


def test_the_breakdown_shows_every_stage_and_the_whole(ledger: Timing) -> None:
    figures = figures_of(ledger)
    assert [round(figure.value, 3) for figure in figures] == [0.75, 0.25, 0.5, 0.25]
    assert "67% network" in figures[0].case
    assert figures[-1].met is False


def test_nothing_done_is_nothing_outside() -> None:
    assert Timing().outside() == (0.0, 0.0)
