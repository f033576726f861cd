"""The question `scale` says how time and memory grow, on a grid that a run takes for its own."""

import os
from math import log
from pathlib import Path

import pytest

from flows.bench import driver_work, run, scale, simulated
from flows.bench.driver_work import SHARD_ROWS, Stages
from flows.bench.figures import Setting, table_of


@pytest.mark.slow
def test_every_stage_has_its_power_and_what_the_largest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "CELLS", (20, 40))
    monkeypatch.setattr(scale, "TRAJECTORIES", (2 * SHARD_ROWS, 4 * SHARD_ROWS))
    monkeypatch.setattr(scale, "WORKERS", (1, 2))
    monkeypatch.setattr(scale, "_alone", lambda work, *args: work(*args))
    [(_, title, figures)] = list(run.ask(["scale"], Setting()))
    table_of("scale", title, figures)
    powers = [figure for figure in figures if figure.unit == "power"]
    stages = 8 + 4  # of cells, and of trajectories
    assert len(powers) == stages + 1 + 1 + 2  # time, workers, memory of a driver and of driver and reader
    assert all(figure.low <= figure.value <= figure.high for figure in powers)
    assert {figure.at_most for figure in powers} == {scale.MOST, scale.LEVEL}
    largest = [figure for figure in figures if figure.unit != "power"]
    assert len(largest) == stages + 2 + len(scale.WORKERS) + 2  # as above, and the report's memory
    assert all(figure.case.startswith(("40 cells", "4,000 trajectories")) for figure in largest)
    assert all(figure.value > 0 and figure.at_most is None for figure in largest)


def test_a_power_is_that_of_the_sizes() -> None:
    figure = scale._power((10, 100, 1000), [3.0, 30.0, 3000.0], "case")
    assert figure.value == pytest.approx(1.5)
    assert (figure.low, figure.high) == (pytest.approx(1.0), pytest.approx(2.0))
    assert figure.met is False
    assert scale._power((1, 2), [5.0, 5.0], "case").met


def test_each_size_is_measured_in_a_process_of_its_own() -> None:
    assert scale._alone(os.getpid) != os.getpid()
    assert scale._alone(log, 1) == 0


def stages_with_a_peak() -> Stages:
    done = Stages()
    done.take("little", lambda: None)
    done.take("much", lambda: len(bytes([1]) * (64 << 20)))
    done.take("little again", lambda: None)
    return done


def test_a_stage_has_the_memory_that_it_takes_itself() -> None:
    done = scale._alone(stages_with_a_peak)  # where nothing that was freed is at hand
    assert done.peaks["much"] - done.peaks["little"] > 60 << 20
    assert done.peaks["little again"] < done.peaks["much"] - (60 << 20)
    assert all(seconds >= 0 for seconds in done.seconds.values())


def test_a_simulated_grid_is_one_that_is_done(tmp_path: Path) -> None:
    simulated.fill(tmp_path, 10)
    done = driver_work.of_cells(tmp_path, 10)
    assert set(scale.UNPAINTED) < set(done.seconds)
    jobs, seconds = driver_work.of_workers(tmp_path, 10, 2)
    assert jobs == 10 * (2 + 2 + 2)  # a table, a selection and a report for each of two candidates
    assert seconds > 0
