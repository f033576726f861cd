"""Jump Your Steps (Park et al. 2024, Sec. 4): times that minimise the KL upper bound to the exact chain, KLUB.

A step from t1 down to s keeps the rates R1 of t1. Split at t2, its second half uses the rates R2 of t2, which lowers
the bound by

    saving(t1, t2, s) = (t2 - s) E sum_{i masked at t2} sum_y [R2 log(R2 / R1) - R2 + R1](i, y),
    R(i, y) = r(t) p_i(y | x_t),    r(t) = rate(t) alpha(t) / (1 - alpha(t)), 1 / t for log-linear noise.

The x0 distributions are normalised, so over y the bracket is r2 [KL(p2 || p1) + log(r2 / r1)] - r2 + r1. States at t1
and t2 lie on one path (nested noise). The best t2 is found by golden section, the schedule by doubling (`doubling`).

Where the base sampler unmasks along an order of its own, positions do not come uniformly: counts are searched along it
(`jys_counts`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.doubling import Split, doubled, golden_section
from lsd_core.distillation.jys_counts import search_counts
from lsd_core.distillation.learned import CostKey, Learned, Problem
from lsd_core.distillation.methods import Method
from lsd_core.distillation.path_models import model_along
from lsd_core.errors import InputError
from lsd_core.paths.divergence import mean_kl
from lsd_core.samplers.catalog import get_sampler, steps_in_counts
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.protocol import Sampler, learnable
from lsd_core.samplers.table import StepTable, counts_from_times
from lsd_core.trajectories.replay import state_at_time, timed
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, kw_only=True)
class JYSConfig:
    """Settings of the search for times."""

    paths: int = 64
    """Paths over which a saving is averaged; the same ones for all points of a search."""
    iterations: int = 8
    """Golden-section steps a split: the point is known to 0.62^iterations of its interval."""

    def __post_init__(self) -> None:
        for name in ("paths", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(name, "be an integer >= 1", getattr(self, name))


def along_order(sampler: Sampler) -> bool:
    """Whether its cells are searched in counts along an order of its own, not in times."""
    return learnable(sampler) and not sampler.order.exchangeable


def fit(problem: Problem, config: JYSConfig) -> Learned:
    """JYS steps for one cell: counts along an order of the sampler's own (`jys_counts`), else times, which are rounded
    where it steps in counts. Cost of times: iterations + 3 calls a (split, path); M - 1 splits where M = 2^k.

    The search for times depends on no base sampler and, on exact paths, on no seed: problems that are else equal
    share it, on a store too.
    """
    sampler = get_sampler(problem.sampler, problem.absorbing.process)
    if along_order(sampler):
        return search_counts(problem, model_along(problem, sampler), config.paths, config.iterations)
    stored = problem.trajectories
    seed = problem.seed if stored is not None and stored.reveal_time is None else None
    of = (problem.num_steps, config.paths, config.iterations, problem.batch, seed)
    key = CostKey(kind="jys", of=of, stored=True, of_one_seed=seed is not None)
    found = problem.measured_once(key, lambda: _search(problem, config, seed))
    times = tuple(map(float, found["times"]))
    table = StepTable(times=times)
    return Learned(
        table=counts_from_times(table, problem.absorbing.length)
        if steps_in_counts(problem.sampler)
        else table,
        sequences=int(found["sequences"]),
        history={"times": list(times), "savings": list(found["savings"])},
    )


def _search(problem: Problem, config: JYSConfig, seed: int | None) -> Mapping[str, Any]:
    """The times and what each split saves, as JSON. Doubling passes by the schedules of fewer steps, so that searches
    for several numbers of steps share their splits."""

    def begin() -> _Search:
        stored = problem.trajectories
        paths = timed(stored.select(slice(config.paths)) if stored else None, problem.seed)
        return _Search(problem.absorbing, paths, config.iterations, problem.batch)

    search: _Search = problem.keep(("jys splits", config, problem.batch, seed), begin)
    noted: dict[str, list[float]] = {}
    sequences = 0

    def best_split(t1: float, s: float) -> Split:
        nonlocal sequences
        split, took = search.best_split(t1, s)
        sequences += took
        return split

    def report(num_steps: int, new: list[float]) -> None:
        problem.progress("splits", num_steps / problem.num_steps)
        for amount in new:
            problem.note(noted, savings=amount)

    times, savings = doubled(problem.num_steps, best_split, report)
    return {"times": list(times), "savings": savings, "sequences": sequences}


@torch.inference_mode()
def saving(
    backbone: Backbone, paths: Trajectories, t1: float, t2: float, s: float, batch: int
) -> Float[Tensor, " n"]:
    """What splitting the step t1 -> s at t2 takes off the KLUB, path by path, in nats. Two calls a path."""
    parts = [paths.select(part) for part in pieces(len(paths), batch)]
    return torch.cat([_saving_of(backbone, part, _features(backbone, part, t1), t1, t2, s) for part in parts])


class _Search:
    """Golden-section searches over the same paths, each interval's once, and what they cost."""

    def __init__(self, backbone: Backbone, paths: Trajectories, iterations: int, batch: int) -> None:
        self.backbone, self.iterations, self.num_paths = backbone, iterations, len(paths)
        self.parts = [paths.select(part) for part in pieces(len(paths), batch)]
        self._found = dict[tuple[float, float], tuple[Split, int]]()

    def best_split(self, t1: float, s: float) -> tuple[Split, int]:
        """Where the step t1 -> s is best split, and the sequences it took, now or before."""
        if (t1, s) not in self._found:
            self._found[t1, s] = self._split(t1, s)
        return self._found[t1, s]

    @torch.inference_mode()
    def _split(self, t1: float, s: float) -> tuple[Split, int]:
        """The state at t1 is sent through the network once."""
        early, sequences = [_features(self.backbone, part, t1) for part in self.parts], self.num_paths

        def mean_saving(t2: float) -> float:
            nonlocal sequences
            sequences += self.num_paths
            savings = [
                _saving_of(self.backbone, part, seen, t1, t2, s)
                for part, seen in zip(self.parts, early, strict=True)
            ]
            return float(torch.cat(savings).mean())

        return golden_section(mean_saving, s, t1, self.iterations), sequences


def _saving_of(
    backbone: Backbone, paths: Trajectories, early: Tensor, t1: float, t2: float, s: float
) -> Float[Tensor, " n"]:
    """The saving on some paths, given the features at t1. One call."""
    masked = state_at_time(paths, t2) == paths.mask
    late = _features(backbone, paths, t2)
    r1, r2 = _reveal_rate(backbone, t1), _reveal_rate(backbone, t2)
    divergence = mean_kl(backbone, late, 1.0, early, 1.0, masked)
    bracket = r2 * (divergence + math.log(r2 / r1)) - r2 + r1
    return (t2 - s) * bracket * masked.sum(1)


def _features(backbone: Backbone, paths: Trajectories, t: float) -> Tensor:
    return backbone.features(state_at_time(paths, t), torch.full((len(paths),), t, dtype=torch.float64))


def _reveal_rate(backbone: Backbone, t: float) -> float:
    """Rate at which a masked token is revealed at time t: 1 / t for log-linear noise."""
    time = torch.tensor(t, dtype=torch.float64)
    return float(backbone.process.noise.rate(time) * backbone.process.score_scale(time))


JYS = Method(
    name="jys",
    version=2,  # counts searched along an order; by version 1 times, rounded
    unchanged_in=lambda sampler: not along_order(sampler),
    kind="control",
    description="times, or counts along an order, that minimise the KLUB, by golden section and doubling",
    config_class=JYSConfig,
    fit=fit,
    reads_paths=True,
    sweep=True,
)
