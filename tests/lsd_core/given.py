"""A chain that can be enumerated, conditions on it, and by Bayes' rule the shorter chain of what is free."""

import torch
from torch import Tensor

from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.conditions import Conditions, conditioned
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.oracles import TableBackbone, exact_backbone, joint_law

V, LENGTH = 3, 4
JOINT = joint_law(7, V, LENGTH, 1.5)
BACKBONE = exact_backbone(JOINT)
SEED = 11


def template(*tokens: int | None) -> Tensor:
    return torch.tensor([V if token is None else token for token in tokens])


AT_END = template(
    None, None, 1, 0
)  # the free positions are 0 and 1, so that their uniforms are those of a short chain
MIXED = torch.stack([template(2, None, None, 1), template(None, 0, None, None), template(0, None, 2, 2)])


def conditions(*templates: Tensor, unconditional: float = 0.0) -> Conditions:
    return Conditions(templates=torch.stack(templates), num_tokens=V, unconditional=unconditional)


def free_joint(given: Tensor) -> Tensor:
    """p(free tokens | given), (V,) * f: the joint distribution cut to what agrees, and normalised."""
    cut = JOINT[tuple(slice(None) if token == V else int(token) for token in given.tolist())]
    return cut / cut.sum()


def free_chain(given: Tensor) -> TableBackbone:
    """The perfect backbone of what is free."""
    return exact_backbone(free_joint(given))


def teacher_paths(given: Conditions, number: int) -> Trajectories:
    """What a teacher's shards hold, as a learner reads it."""
    draws = Draws(SEED, torch.arange(number))
    return conditioned(first_hitting(BACKBONE, draws, given.at(SEED, draws.trajectory)), given, SEED)
