"""Teachers of processes without a mask: whole paths, kept as the states at equally spaced times."""

from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.scores import ScoreBackbone, X0Backbone
from lsd_core.errors import InputError
from lsd_core.processes import Process, Uniform
from lsd_core.samplers.dense.exact import Bound, uniformise, x0_rate_bound
from lsd_core.samplers.dense.generate import draw_prior, take_step
from lsd_core.samplers.dense.prediction import predict
from lsd_core.samplers.dense.steps import get_dense
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import uniform_times
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


def record_dense_steps(
    backbone: ScoreBackbone, sampler: str, steps: int, num_nodes: int, draws: Draws
) -> Trajectories:
    """Paths of `steps` uniform steps of a base sampler, the last the denoise."""
    if steps % num_nodes:
        raise InputError("teacher.steps", f"be a multiple of teacher.nodes = {num_nodes}", steps)
    method, x = get_dense(sampler, backbone.process), draw_prior(backbone.process, draws, backbone.length)
    states = []
    for step in steps_of(uniform_times(steps), backbone.length):
        if step.index % (steps // num_nodes) == 0:
            states.append(x)
        x = take_step(method, backbone, x, step, draws)[0]
    return _trajectories(backbone.process, draws, states, x)


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
