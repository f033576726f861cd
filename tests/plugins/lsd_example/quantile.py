"""Steps at the quantiles of the times at which teacher paths unmask their tokens."""

from dataclasses import dataclass

import torch

from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import Method
from lsd_core.errors import InputError
from lsd_core.samplers import StepTable, counts_from_times, steps_in_counts
from lsd_core.trajectories.types import TIME_GRID


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the method."""

    power: float = 1.0
    """Quantile levels are (k / M) ** power; above 1, late steps unmask fewer tokens."""

    def __post_init__(self) -> None:
        if not self.power > 0:
            raise InputError("quantile.power", "be positive", self.power)


def fit(problem: Problem, config: Config) -> Learned:
    """Times 1 > t_1 > ... > 0 between which teacher paths unmask equal shares of tokens, for power 1."""
    paths = problem.trajectories
    if paths is None or paths.reveal_time is None:
        raise InputError("teacher.method", "be exact, so that paths have times", "another")
    unmasked = paths.reveal_time.flatten().double() / TIME_GRID
    level = (torch.arange(1, problem.num_steps, dtype=torch.float64) / problem.num_steps) ** config.power
    inner = unmasked.quantile(1 - level.to(unmasked.device)).tolist()
    table = StepTable(times=(1.0, *inner, 0.0))
    if steps_in_counts(problem.sampler):
        table = counts_from_times(table, problem.backbone.length)
    return Learned(table=table, sequences=0)


QUANTILE = Method(
    name="quantile",
    kind="learned",
    description="steps at quantiles of the teacher's unmasking times",
    config_class=Config,
    fit=fit,
)
