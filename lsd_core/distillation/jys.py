"""Jump Your Steps (Park et al. 2024, Sec. 4): times that minimise the KL upper bound to the exact chain, KLUB.

A step from t1 down to s keeps the rates R1 it saw at t1. Splitting it at t2 lets the second half see the rates
R2 at t2, and lowers the bound by

    saving(t1, t2, s) = (t2 - s) E sum_{i masked at t2} sum_y [R2 log(R2 / R1) - R2 + R1](i, y),
    R(i, y) = r(t) p_i(y | x_t),    r(t) = rate(t) alpha(t) / (1 - alpha(t)), 1 / t for log-linear noise.

The x0 laws are normalised, so over y the bracket is r2 [KL(p2 || p1) + log(r2 / r1)] - r2 + r1. States at t1 and
t2 lie on one path (nested noise). The best t2 is found by golden section, the schedule by doubling: every interval
is split at its own best point, 1, 2, 4 ... steps. In between powers of two, the intervals that save most are split.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import Method
from lsd_core.errors import InputError
from lsd_core.paths.divergence import mean_kl
from lsd_core.paths.teacher_paths import TeacherPaths
from lsd_core.samplers.catalog import steps_in_counts
from lsd_core.samplers.table import StepTable, counts_from_times

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, kw_only=True)
class JYSConfig:
    """How finely the times are searched."""

    paths: int = 64
    """Paths over which a saving is averaged; the same ones for all points of a search."""
    iterations: int = 8
    """Golden-section steps a split: the point is known to 0.62^iterations of its interval."""

    def __post_init__(self) -> None:
        for name in ("paths", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(name, "be an integer >= 1", getattr(self, name))


@dataclass(frozen=True)
class Split:
    """Where an interval is best split, and how much that saves."""

    time: float
    saving: float


def fit(problem: Problem, config: JYSConfig) -> Learned:
    """JYS times for one cell. Cost: iterations + 3 calls a (split, path); M - 1 splits where M = 2^k.

    The search knows no base sampler and, on exact paths, no seed: problems that differ in nothing else share it.
    """
    stored = problem.trajectories
    seed = problem.seed if stored is not None and stored.reveal_time is None else None
    name = ("jys", problem.num_steps, config, problem.batch, seed)
    learned: Learned = problem.keep(name, lambda: _search(problem, config))
    if steps_in_counts(problem.sampler):
        return replace(learned, table=counts_from_times(learned.table, problem.absorbing.length))
    return learned


def _search(problem: Problem, config: JYSConfig) -> Learned:
    stored = problem.trajectories
    paths = TeacherPaths.read(stored.select(slice(config.paths)) if stored else None, problem.seed)
    search = _Search(problem.absorbing, paths, config.iterations, problem.batch)
    noted: dict[str, list[float]] = {}

    def report(num_steps: int, new: list[float]) -> None:
        problem.progress("splits", num_steps / problem.num_steps)
        for amount in new:
            problem.note(noted, savings=amount)

    times, savings = doubled(problem.num_steps, search.best_split, report)
    return Learned(
        table=StepTable(times=times),
        sequences=search.sequences,
        history={"times": list(times), "savings": savings},
    )


def doubled(
    num_steps: int,
    best_split: Callable[[float, float], Split],
    report: Callable[[int, list[float]], None] = lambda num_steps, new: None,
) -> tuple[tuple[float, ...], list[float]]:
    """Times from 1 to 0 with `num_steps` steps, and the saving of each split made, in order.

    A round splits every interval of the round before; a round that would go beyond `num_steps` splits those that
    save most. Each round ends in a report of the steps there are and the savings it brought.
    """
    times, savings = [1.0, 0.0], []
    while (steps := len(times) - 1) < num_steps:
        splits = [best_split(t, s) for t, s in pairwise(times)]
        room = min(steps, num_steps - steps)
        chosen = sorted(sorted(splits, key=lambda split: -split.saving)[:room], key=lambda split: -split.time)
        new = [split.saving for split in chosen]
        savings += new
        times = sorted([*times, *(split.time for split in chosen)], reverse=True)
        report(len(times) - 1, new)
    return tuple(times), savings


def golden_section(value: Callable[[float], float], low: float, high: float, iterations: int) -> Split:
    """The largest value found in (low, high); the maximum of a function with one peak, to 0.62^iterations."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = value(a), value(b)
    for _ in range(iterations):
        if at_a > at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = value(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = value(b)
    return Split(a, at_a) if at_a > at_b else Split(b, at_b)


@torch.inference_mode()
def saving(
    backbone: Backbone, paths: TeacherPaths, t1: float, t2: float, s: float, batch: int
) -> Float[Tensor, " n"]:
    """What splitting the step t1 -> s at t2 takes off the KLUB, path by path, in nats. Two calls a path."""
    parts = []
    for begin in range(0, len(paths), batch):
        rows = torch.arange(begin, min(begin + batch, len(paths)))
        early = _features(backbone, paths, rows, t1)
        parts.append(_saving_of(backbone, paths, rows, early, t1, t2, s))
    return torch.cat(parts)


class _Search:
    """Golden-section searches over the same paths; counts what they cost."""

    def __init__(self, backbone: Backbone, paths: TeacherPaths, iterations: int, batch: int) -> None:
        self.backbone, self.paths, self.iterations, self.batch = backbone, paths, iterations, batch
        self.sequences = 0

    @torch.inference_mode()
    def best_split(self, t1: float, s: float) -> Split:
        """Where the step t1 -> s is best split. The state at t1 is sent through the network once."""
        starts = range(0, len(self.paths), self.batch)
        batches = [torch.arange(i, min(i + self.batch, len(self.paths))) for i in starts]
        early = [_features(self.backbone, self.paths, rows, t1) for rows in batches]
        self.sequences += len(self.paths)

        def mean_saving(t2: float) -> float:
            self.sequences += len(self.paths)
            parts = [
                _saving_of(self.backbone, self.paths, rows, seen, t1, t2, s)
                for rows, seen in zip(batches, early, strict=True)
            ]
            return float(torch.cat(parts).mean())

        return golden_section(mean_saving, s, t1, self.iterations)


def _saving_of(
    backbone: Backbone, paths: TeacherPaths, rows: Tensor, early: Tensor, t1: float, t2: float, s: float
) -> Float[Tensor, " r"]:
    """The saving on some paths, given the features at t1. One call."""
    x2 = _state(paths, rows, t2)
    late = _features(backbone, paths, rows, t2)
    r1, r2 = _reveal_rate(backbone, t1), _reveal_rate(backbone, t2)
    masked = x2 == paths.mask
    divergence = mean_kl(backbone, late, 1.0, early, 1.0, masked)
    bracket = r2 * (divergence + math.log(r2 / r1)) - r2 + r1
    return (t2 - s) * bracket * masked.sum(1)


def _state(paths: TeacherPaths, rows: Tensor, t: float) -> Tensor:
    return paths.x_end[rows].masked_fill(paths.reveal_time[rows] < t, paths.mask)


def _features(backbone: Backbone, paths: TeacherPaths, rows: Tensor, t: float) -> Tensor:
    return backbone.features(_state(paths, rows, t), torch.full((len(rows),), t, dtype=torch.float64))


def _reveal_rate(backbone: Backbone, t: float) -> float:
    """Rate at which a masked token is revealed at time t: 1 / t for log-linear noise."""
    time = torch.tensor(t, dtype=torch.float64)
    return float(backbone.process.noise.rate(time) * backbone.process.score_scale(time))


JYS = Method(
    name="jys",
    kind="control",
    description="times that minimise the KLUB, by golden section and doubling",
    config_class=JYSConfig,
    fit=fit,
    reads_paths=True,
)
