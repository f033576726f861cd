"""Paths of base samplers and exact chains, recorded as a teacher's trajectories.

On masked processes the step that unmasked each token, elsewhere the states at equally spaced times.
"""

from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone, DenseBackbone
from lsd_core.backbones.scores import ScoreBackbone, X0Backbone
from lsd_core.errors import InputError
from lsd_core.processes import Process, Uniform
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.full import predict
from lsd_core.samplers.loop import walk
from lsd_core.samplers.state import Draws, draw_prior, start
from lsd_core.samplers.table import uniform_times
from lsd_core.samplers.uniformisation import Bound, uniformise, x0_rate_bound
from lsd_core.trajectories.types import Trajectories

STOP = 2.0**-10  # exact paths end here and are denoised: on some processes rates have no bound at 0


def node_times(num_nodes: int) -> tuple[float, ...]:
    """The times at which states are kept, 1 down to 1 / num_nodes; the end, at 0, is kept beside them."""
    return tuple(1 - k / num_nodes for k in range(num_nodes))


def windows(num_nodes: int) -> list[list[float]]:
    """For each node the times from it to the next, the last one's halving down to `STOP`."""
    nodes = node_times(num_nodes)
    last = [nodes[-1]]
    while last[-1] / 2 > STOP:
        last.append(last[-1] / 2)
    return [[t, s] for t, s in pairwise(nodes)] + [[*last, STOP]]


def rate_bound(process: Process) -> Bound:
    """The bound that uniformisation uses: proven on uniform, with room to spare elsewhere."""
    return x0_rate_bound(process, 1.0 if isinstance(process, Uniform) else 2.0)


def record_exact(backbone: ScoreBackbone, num_nodes: int, draws: Draws) -> Trajectories:
    """Exact paths by uniformisation, denoised at t = 2^-10; for networks that predict the clean token."""
    if not isinstance(backbone, X0Backbone):
        remedy = "name a base sampler and its steps, such as method: tau_leaping, steps: 256"
        rule = "be a base sampler where the network gives scores only: their rates have no known bound"
        raise InputError("teacher.method", rule, "uniformisation", remedy)
    bound, x = rate_bound(backbone.process), draw_prior(backbone.process, draws, backbone.length)
    states, window = [], 0
    for times in windows(num_nodes):
        states.append(x)
        x = uniformise(backbone, x, times, draws, bound, first_window=window).x
        window += len(times) - 1
    x_end = predict(backbone, x, STOP).tweedie(0.0).draw(draws, window)
    return _trajectories(backbone.process, draws, states, x_end)


def record_steps(
    backbone: Backbone, sampler: str, steps: int, draws: Draws, given: Int[Tensor, "b l"] | None = None
) -> Trajectories:
    """Paths of `steps` uniform steps of a sampler on a masked process; of `given` tokens the step is 0."""
    process, state = backbone.process, start(backbone, draws, given)
    if given is not None:
        backbone = Conditioned(backbone)
    unmasked_in = torch.zeros_like(state.x)
    for step, before, after in walk(backbone, sampler, uniform_times(steps), state, draws):
        unmasked = (before.x == process.mask) & (after.x != process.mask)
        unmasked_in = torch.where(unmasked, step.index, unmasked_in)
    return Trajectories(
        index=draws.trajectory,
        num_tokens=process.num_tokens,
        x_end=after.x,
        reveal_step=unmasked_in,
        steps=steps,
    )


def record_states(
    backbone: DenseBackbone, sampler: str, steps: int, num_nodes: int, draws: Draws
) -> Trajectories:
    """Paths of `steps` uniform steps of a sampler on a full-state process, the last the denoise."""
    if steps % num_nodes:
        raise InputError("teacher.steps", f"be a multiple of teacher.nodes = {num_nodes}", steps)
    path = list(walk(backbone, sampler, uniform_times(steps), start(backbone, draws), draws))
    states = [before.x for _, before, _ in path[:: steps // num_nodes]]
    return _trajectories(backbone.process, draws, states, path[-1][2].x)


def expected_calls(process: Process, length: int, num_nodes: int) -> int:
    """Network calls that an exact path makes on average."""
    bound, total = rate_bound(process), 1.0
    for times in windows(num_nodes):
        total += sum(length * bound(hi, lo) * (hi - lo) for hi, lo in pairwise(times))
    return round(total)


def _trajectories(
    process: Process, draws: Draws, states: list[Tensor], x_end: Int[Tensor, "n l"]
) -> Trajectories:
    return Trajectories(
        index=draws.trajectory,
        num_tokens=process.num_tokens,
        x_end=x_end,
        states=torch.stack(states, dim=1),
    )
