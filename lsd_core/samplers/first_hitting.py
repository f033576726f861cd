"""Exact simulation of the absorbing reverse chain: one token at a time, at its own time."""

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.categorical import draw_power
from lsd_core.samplers.conditional import Conditioned, check_template
from lsd_core.samplers.prediction import call
from lsd_core.samplers.state import Draws, start
from lsd_core.trajectories.types import TIME_GRID, Trajectories


def first_hitting(backbone: Backbone, draws: Draws, given: Int[Tensor, "*b l"] | None = None) -> Trajectories:
    """Trajectories of the exact chain (first-hitting sampler, Zheng et al. 2024, Sec. 4.1).

    For log-linear noise the time at which a token is unmasked is uniform on (0, 1), independently; they are drawn on
    the 2^16 grid, and equal times are ordered by position. In between nothing changes, so l network calls,
    each at the time of the token it serves (a rate is read when its jump happens), simulate the network's
    reverse chain exactly: with an inexact network, the uniform-order mixture.

    `given` tokens, the mask where there is none, the same for all chains or (b, l) for each, are there from the
    start: they rank first, at the latest time, cost no call, and the others are conditioned on them.
    """
    state = start(backbone, draws, given)
    if given is not None:
        check_template(backbone, given)
        backbone = Conditioned(backbone)
    b, length = state.x.shape
    uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.TIME)
    ticks = (uniform * TIME_GRID).long()
    fixed = state.x != backbone.process.mask
    ticks = torch.where(fixed, TIME_GRID - 1, ticks)
    order = (ticks + fixed).argsort(dim=1, descending=True, stable=True)  # positions, first unmasked first
    chain = torch.arange(b, device=state.x.device)
    tokens, known = draws.grid(0, Purpose.TOKEN, length), fixed.sum(1)
    for event in range(int(known.min()), length):
        position = order[:, event]
        t = ticks.gather(1, position[:, None])[:, 0].clamp(min=1).double() / TIME_GRID
        features, state = call(backbone, state, t, wanted=event >= known)
        log_weights = head_rows(backbone, features[chain, position])
        token = draw_power(log_weights, 1.0, tokens[chain, position])
        state = state.moved(state.x.index_put((chain, position), token), backbone)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(length, device=order.device).expand(b, -1))
    return Trajectories(
        index=draws.trajectory,
        num_tokens=backbone.process.num_tokens,
        x_end=state.x,
        reveal_time=ticks,
        rank=rank,
    )
