"""N-step teachers: a base sampler on a uniform grid, recorded as the step that revealed each token."""

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import uniform_times
from lsd_core.trajectories.types import Trajectories


def record_steps(backbone: Backbone, sampler: str, steps: int, draws: Draws) -> Trajectories:
    """Trajectories of `steps` plain steps of a sampler with one call a step."""
    method = get_sampler(sampler, backbone.process)
    state = start(backbone, len(draws.trajectory), draws.trajectory.device)
    reveal_step = torch.zeros_like(state.x)
    for step in steps_of(uniform_times(steps), backbone.length):
        before = state.x
        state = method.step(backbone, state, step, draws)
        revealed = (before == backbone.process.mask) & (state.x != backbone.process.mask)
        reveal_step = torch.where(revealed, step.index, reveal_step)
    return Trajectories(
        index=draws.trajectory,
        num_tokens=backbone.process.num_tokens,
        x_end=state.x,
        reveal_step=reveal_step,
        steps=steps,
    )
