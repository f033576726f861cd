"""A threshold for each step of a sampler that decides itself how many tokens to unmask.

A schedule of the sampler that unmasks quotas by the same doubts says how far down a step should go on average: the mean
of the thresholds that would have just let its quota through. A sample that is sure of more then takes more in that
step, and has less left for the last one. The best schedule and equal quotas are tried, their thresholds loosened or
tightened by a common factor, and the least reverse bound decides, with the cap on calls in force: thresholds that are
too tight pay in the last step.

Cost: two calls a (step, path) for the levels of quotas, and for each factor what a certificate costs on as many paths.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.distillation.controls import plain
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.divergence import features_at_count
from lsd_core.paths.masked_terms import stopped_mean
from lsd_core.paths.model import LEAST_PATHS
from lsd_core.paths.sampler_paths import own_paths
from lsd_core.samplers.adaptive import WithinBudget
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.replay import state_at_step
from lsd_core.trajectories.types import Trajectories

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
STOPS = 4


@dataclass(frozen=True)
class Thresholds:
    """A table with its thresholds, and what every candidate was measured to cost."""

    table: StepTable
    nats: tuple[float, ...]
    """Reverse bound of each start with each of `FACTORS`, on the same uniforms."""
    sequences: int
    """Sequences sent through the network."""


@torch.inference_mode()
def choose_thresholds(model: ChosenModel, schedule: StepTable, max_sequences: int) -> Thresholds:
    """Thresholds for as many steps as the schedule has; they start from its quotas, and from equal ones."""
    method, num_steps = model.method, schedule.num_steps
    assert isinstance(method, WithinBudget)
    starts = dict.fromkeys((schedule, plain(model.rule, num_steps, model.length)))
    each = len(starts) * (2 * num_steps + len(FACTORS) * (num_steps + 2 * STOPS))
    num_paths = max(LEAST_PATHS, max_sequences // each)
    draws = Draws(derive_seed("path_kl thresholds", model.root), torch.arange(num_paths))
    tables, nats, sequences = list[StepTable](), list[float](), 0
    for start in starts:
        paths, drawn = own_paths(model.backbone, model.rule, start, draws, model.batch)
        levels = [_level(model, method, paths, step) for step in steps_of(start, model.length)]
        sequences += drawn + num_steps * num_paths
        for factor in FACTORS:
            loosened = tuple(method.loosened(level, factor) for level in levels)
            tables.append(replace(start, thresholds=loosened))
            own, drawn = own_paths(model.backbone, method.name, tables[-1], draws, model.batch)
            values = stopped_mean(model.backbone, tables[-1], own, None, "reverse", draws, model.batch, STOPS)
            nats.append(float(values.mean()))
            sequences += drawn + 2 * STOPS * num_paths
    best = min(range(len(tables)), key=nats.__getitem__)
    return Thresholds(tables[best], tuple(nats), sequences)


def _level(model: ChosenModel, method: WithinBudget, paths: Trajectories, step: Step) -> float:
    """Mean over the paths of the threshold that lets just the step's quota through."""
    assert step.counts is not None
    parts = (paths.select(part) for part in pieces(len(paths), model.batch))
    found = [_levels(model, method, part, step.counts, step.index) for part in parts]
    return float(torch.cat(found).mean())


def _levels(
    model: ChosenModel, method: WithinBudget, paths: Trajectories, counts: tuple[int, int], index: int
) -> Float[Tensor, " b"]:
    x = state_at_step(paths, index)
    features = features_at_count(model.backbone, x, torch.full((len(x),), counts[0]))
    seen = MaskedPrediction(model.backbone, x, features)
    doubts = method.doubts(seen)
    by_row, levels = (value.view(len(x), counts[0]) for value in (doubts, method.levels(seen, doubts)))
    last = by_row.argsort(dim=1, stable=True)[:, counts[0] - counts[1] - 1]
    return levels.gather(1, last[:, None])[:, 0]
