"""Paths of masked samplers as `Trajectories`: final tokens, unmasking order, step index of each position.

Tokens of one step are in an order too, so that every count has a state.
"""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.numerics.ranks import ranks
from lsd_core.samplers.catalog import chooses_by_state, factorised, get_sampler, steps_in_counts
from lsd_core.samplers.loop import walk
from lsd_core.samplers.one_call import OneCall, Unmasking
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories


def named(sampler: str, backbone: ScoreBackbone | Backbone) -> OneCall:
    """The sampler of that name, if it is `factorised`."""
    return factorised(get_sampler(sampler, backbone.process))


def order_along(sampler: str, backbone: ScoreBackbone | Backbone, table: StepTable) -> Order | None:
    """The order of its positions with this table; None where each step chooses them by the network's prediction."""
    method = get_sampler(sampler, backbone.process)
    return None if chooses_by_state(method) else factorised(method).order.of_table(table.order)


def own_paths(
    backbone: Backbone, sampler: str, table: StepTable, draws: Draws, batch: int
) -> tuple[Trajectories, int]:
    """The paths that a sampler takes itself, and the sequences it sent through the network: up to M a path.

    Tokens of one step come in the sampler's order, or in any where the step chose them.
    """
    order = order_along(sampler, backbone, table) or UNIFORM
    ends, steps, sequences = [], [], 0
    for begin in range(0, len(draws.trajectory), batch):
        own = Draws(draws.seed, draws.trajectory[begin : begin + batch])
        state = start(backbone, own)
        revealed_in = torch.zeros_like(state.x)
        for step, before, after in walk(backbone, sampler, table, state, own):
            revealed_in = torch.where(after.x != before.x, step.index, revealed_in)
        ends.append(after.x)
        steps.append(revealed_in)
        sequences += int(after.calls.sum())
    step_of = torch.cat(steps)
    paths = Trajectories(
        index=draws.trajectory,
        num_tokens=backbone.process.num_tokens,
        x_end=torch.cat(ends),
        rank=ranks(step_of + order.keys(draws, backbone.length), 1),
        reveal_step=step_of,
        steps=table.num_steps,
    )
    return paths, sequences


def one_at_a_time(
    backbone: Backbone, sampler: str, draws: Draws, batch: int, order: tuple[int, ...] | None = None
) -> tuple[Trajectories, int]:
    """Paths of p_net, one token at a time in the sampler's order, given t(n); and their cost, l a path."""
    every = StepTable(counts=tuple(range(backbone.length, -1, -1)), order=order)
    in_counts = sampler if steps_in_counts(sampler) else "fixed_counts"
    return own_paths(backbone, in_counts, every, draws, batch)


def cut(
    paths: Trajectories, backbone: Backbone, sampler: str, table: StepTable, draws: Draws
) -> Trajectories:
    """The same sequences in the same order, cut into steps as the sampler's own distribution of reveals would.

    On counts the cut is fixed. On times each token's step is drawn with the chances of a reveal, and the steps
    are dealt out in the order of reveal: reveals do not depend on tokens, so the cut is independent of them.
    """
    assert paths.rank is not None
    b, length = paths.rank.shape
    if table.counts is not None:
        sizes = [n - m for n, m in pairwise(table.counts)]
        by_rank = torch.arange(table.num_steps).repeat_interleave(torch.tensor(sizes)).expand(b, -1)
    else:
        chances = step_chances(backbone, sampler, table)
        uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.TIME)
        by_rank = torch.searchsorted(chances.cumsum(0), uniform, right=True).clamp(max=table.num_steps - 1)
        by_rank = by_rank.sort(dim=1).values
    return replace(paths, reveal_step=by_rank.gather(1, paths.rank.long()), steps=table.num_steps)


def step_chances(backbone: Backbone, sampler: str, table: StepTable) -> Tensor:
    """Chance (M,) that a token is revealed in each step of a grid of times."""
    method = named(sampler, backbone)
    assert isinstance(method, Unmasking)
    kept, chances = 1.0, []
    for step in steps_of(table, backbone.length):
        chance = method.gained_chance(backbone, step)
        chances.append(kept * chance)
        kept *= 1 - chance
    return torch.tensor(chances, dtype=torch.float64)
