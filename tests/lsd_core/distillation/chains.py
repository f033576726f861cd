"""Small problems for the learning methods, and independent ways to compute what they should see."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.learned import Problem
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.recording import record_steps
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.replay import state_at_time
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.oracles import TableBackbone, all_states, joint_law, number_of
from tests.lsd_core.oracles import exact_backbone as table_backbone

TEACHER_SEED = 11


@dataclass(frozen=True, kw_only=True)
class SharedNoise(Problem):
    """A problem that knows its teacher's seed."""

    teacher_seed: int | None = TEACHER_SEED


def strong_chain() -> Backbone:
    """Countdown over 4 values at length 6: strongly correlated."""
    return exact_backbone("tiny", length=6, num_values=4)


def mild_chain(scale: float = 1.0) -> TableBackbone:
    """A random law over 3^3 sequences with its exact conditionals."""
    return table_backbone(joint_law(0, 3, 3, scale))


def exact_paths(backbone: Backbone, count: int) -> Trajectories:
    with torch.no_grad():
        return first_hitting(backbone, Draws(TEACHER_SEED, torch.arange(count)))


def stepped_paths(backbone: Backbone, count: int, steps: int, sampler: str = "euler") -> Trajectories:
    with torch.no_grad():
        return record_steps(backbone, sampler, steps, Draws(TEACHER_SEED, torch.arange(count)))


def distinct_states(
    backbone: Backbone, paths: Trajectories, points: list[tuple[float, ...]], block: int
) -> int:
    """Unfinished states of the paths that differ, among those of a block of paths at the times of an interval."""
    count = 0
    for times in points:
        for first in range(0, len(paths), block):
            some = paths.select(slice(first, first + block))
            states = {
                (tuple(x), None if backbone.time_free else t)
                for t in times
                for x in state_at_time(some, t).tolist()
                if paths.num_tokens in x
            }
            count += len(states)
    return count


def problem(
    backbone: Backbone, trajectories: Trajectories | None, num_steps: int, **changes: Any
) -> SharedNoise:
    fields: dict[str, Any] = {"sampler": "euler", "seed": 5, "batch": 64} | changes
    return SharedNoise(backbone=backbone, trajectories=trajectories, num_steps=num_steps, **fields)


def masked_law(joint: Tensor, t: float) -> Tensor:
    """Law over states at time t of the exact chain: a draw of `joint`, each position masked with chance t."""
    num_tokens, length = joint.shape[0], joint.dim()
    states = all_states(num_tokens + 1, length)
    law = torch.zeros(len(states), dtype=torch.float64)
    for sequence, weight in zip(all_states(num_tokens, length), joint.flatten(), strict=True):
        for hidden in all_states(2, length).bool():
            chance = t ** int(hidden.sum()) * (1 - t) ** int((~hidden).sum())
            law[number_of(sequence.masked_fill(hidden, num_tokens)[None], num_tokens + 1)] += weight * chance
    return law


def independent_optimum(backbone: TableBackbone, teacher: Tensor, student: Tensor, rows: str) -> float:
    """argmin over phi of E |p* - phi p|^2 for independent states with these laws, by summing over pairs."""
    states = all_states(backbone.process.num_states, backbone.length)
    p, masked = backbone.table.softmax(-1), states == backbone.process.mask
    weighted = p * masked[..., None]
    across = torch.einsum("a,b,aiv,biv->", teacher, student, weighted, weighted)
    own_rows = torch.einsum("b,biv,biv->i", student, weighted, weighted)
    seen = (
        torch.einsum("a,ai->i", teacher, masked.double()) if rows == "both" else torch.ones(backbone.length)
    )
    return float(across / (own_rows * seen).sum())


class Warming(TableBackbone):
    """A table whose laws sharpen smoothly as t falls: log-weights are multiplied by 2 - t."""

    def __init__(self, table: Tensor, num_tokens: int) -> None:
        super().__init__(table.clamp(min=-30.0), num_tokens)  # 0 * -inf has no gradient
        self.time_free = self.normalised = False

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        return super().features(x, t) * (2 - t)[:, None, None]
