"""Benchmark `scale`: how a driver's time and memory grow to ten thousand cells and a million trajectories."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from math import log
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from flows.bench import driver_work, simulated
from flows.bench.driver_work import Stages
from flows.bench.figures import Figure, Setting
from flows.bench.growth import slope
from flows.bench.timing import Spread

TITLE = "a driver's work without network and servers: the power with which it grows, what the largest takes"
CELLS = (100, 1_000, 10_000)
TRAJECTORIES = (10_000, 100_000, 1_000_000)
WORKERS = (1, 2, 4, 8)
FEW_CELLS = 10
UNPAINTED = ("plan", "write cards", "list the store", "schedule jobs", "find what is there", "decide aliases")
"""Stages before the report, whose charts take the same memory however many cells there are."""
MOST = 1.1
LEVEL = 0.2  # of what is not to grow
LEAST_BYTES = 4 << 20  # less is no measurement: an allocator takes as much at once

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def ask(setting: Setting) -> list[Figure]:
    """Each size once, in a process of its own: minutes, whatever the number of rounds."""
    with tempfile.TemporaryDirectory(prefix="lsd-bench-") as base:
        return [*_cells(Path(base)), *_trajectories(Path(base))]


def _cells(base: Path) -> Iterator[Figure]:
    for cells in (FEW_CELLS, *CELLS):
        _alone(simulated.fill, base / f"{cells}-cells", cells)
    found = [_warmed(driver_work.of_cells, base, "cells", FEW_CELLS, cells) for cells in CELLS]
    yield from _times(CELLS, "cells", found)
    yield from _memory(
        CELLS, "cells", "driver", [max(stages.peaks[name] for name in UNPAINTED) for stages in found]
    )
    yield _number(f"{CELLS[-1]:,} cells, driver with its report", max(found[-1].peaks.values()) / 1e6, "MB")
    jobs = [_warmed(driver_work.of_workers, base, "cells", FEW_CELLS, CELLS[1], each) for each in WORKERS]
    each_s = [seconds / number for number, seconds in jobs]
    yield _power(WORKERS, each_s, "workers, schedule a job")
    for workers, seconds in zip(WORKERS, each_s, strict=True):
        case = f"{CELLS[1]:,} cells, schedule a job on {workers} workers"
        yield _number(case, 1e3 * seconds, "ms of processor time")


def _trajectories(base: Path) -> Iterator[Figure]:
    few = driver_work.SHARD_ROWS
    found = [
        _warmed(driver_work.of_trajectories, base, "trajectories", few, number) for number in TRAJECTORIES
    ]
    yield from _times(TRAJECTORIES, "trajectories", found)
    for who, stage, most in (("driver", "publish them", MOST), ("reader", "stream them", LEVEL)):
        peaks = [stages.peaks[stage] for stages in found]
        yield from _memory(TRAJECTORIES, "trajectories", who, peaks, most)


def _alone(work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """What `work` returns in a process of its own, whose memory is that work's alone."""
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (1,)) as process:
        return process.submit(work, *args, **kwargs).result()


def _warmed(work: Callable[..., Answer], base: Path, what: str, few: int, number: int, *more: int) -> Answer:
    """The same after a first time with few of them, which imports and fills caches."""
    return _alone(
        _second, work, (base / f"{few}-{what}", few, *more), (base / f"{number}-{what}", number, *more)
    )


def _second(work: Callable[..., Answer], first: Sequence[Any], second: Sequence[Any]) -> Answer:
    work(*first)
    return work(*second)


def _times(sizes: Sequence[int], what: str, found: Sequence[Stages]) -> Iterator[Figure]:
    """Of each stage the power, and the seconds of the largest size."""
    for name, most_s in found[-1].seconds.items():
        yield _power(sizes, [stages.seconds[name] for stages in found], f"{what}, {name}")
        yield _number(f"{sizes[-1]:,} {what}, {name}", most_s, "s of processor time")


def _memory(
    sizes: Sequence[int], what: str, who: str, peaks: Sequence[int], most: float = MOST
) -> Iterator[Figure]:
    """The power of a peak of memory, and that of the largest size."""
    bytes_ = [max(peak, LEAST_BYTES) for peak in peaks]
    yield _power(sizes, bytes_, f"{what}, memory of the {who}", most)
    yield _number(f"{sizes[-1]:,} {what}, memory of the {who}", bytes_[-1] / 1e6, "MB")


def _power(sizes: Sequence[int], values: Sequence[float], case: str, most: float = MOST) -> Figure:
    """The least-squares slope of log value in log size; low and high are those between neighbouring sizes."""
    x, y = [log(size) for size in sizes], [log(value) for value in values]
    between = [slope(list(a), list(b)) for a, b in zip(pairwise(x), pairwise(y), strict=True)]
    return Figure.of("scale", case, Spread(slope(x, y), min(between), max(between)), "power", at_most=most)


def _number(case: str, value: float, unit: str) -> Figure:
    return Figure.of("scale", case, Spread.of([value]), unit)
