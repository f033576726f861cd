"""Paths of masked samplers as `Trajectories`: final tokens, unmasking order, step index of each position.

Tokens of one step are in an order too, so that every count has a state.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.numerics.ranks import ranks
from lsd_core.samplers.catalog import chooses_by_state, factorised, get_sampler, steps_in_counts
from lsd_core.samplers.conditional import rescaled
from lsd_core.samplers.loop import walk
from lsd_core.samplers.one_call import OneCall, Unmasking
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.conditions import by_free
from lsd_core.trajectories.types import Trajectories


def named(sampler: str, backbone: ScoreBackbone | Backbone) -> OneCall:
    """The sampler of that name, if it is `factorised`."""
    return factorised(get_sampler(sampler, backbone.process))


def order_along(sampler: str, backbone: ScoreBackbone | Backbone, table: StepTable) -> Order | None:
    """The order of its positions with this table; None where each step chooses them by the network's prediction."""
    method = get_sampler(sampler, backbone.process)
    return None if chooses_by_state(method) else factorised(method).order.of_table(table.order)


def own_paths(
    backbone: Backbone,
    sampler: str,
    table: StepTable,
    draws: Draws,
    batch: int,
    given: Int[Tensor, "b l"] | None = None,
) -> tuple[Trajectories, int]:
    """The paths that a sampler takes itself, and the sequences it sent through the network: up to M a path.

    With `given` tokens the steps are those of the table rescaled for each path's free positions, and a given token's
    step is -1. Tokens of one step come in the sampler's order, or in any where the step chose them.
    """
    order = order_along(sampler, backbone, table) or UNIFORM
    begun = start(backbone, draws, given).x
    end, step_of, sequences = begun.clone(), torch.full_like(begun, -1), 0
    for rows, num_free in by_free(begun, backbone.process.mask):
        steps = rescaled(table, num_free)
        for some in rows.split(batch):
            own = Draws(draws.seed, draws.trajectory[some])
            state = start(backbone, own, None if given is None else begun[some])
            revealed_in = torch.where(state.x == backbone.process.mask, 0, -1)
            for step, before, after in walk(backbone, sampler, steps, state, own):
                revealed_in = torch.where(after.x != before.x, step.index, revealed_in)
            end[some], step_of[some] = after.x, revealed_in
            sequences += int(after.calls.sum())
    paths = Trajectories(
        index=draws.trajectory,
        num_tokens=backbone.process.num_tokens,
        x_end=end,
        rank=ranks(step_of + order.keys(draws, backbone.length), 1),
        reveal_step=step_of,
        steps=table.num_steps,
        given=None if given is None else begun != backbone.process.mask,
    )
    return paths, sequences


def one_at_a_time(
    backbone: Backbone,
    sampler: str,
    draws: Draws,
    batch: int,
    order: tuple[int, ...] | None = None,
    given: Int[Tensor, "b l"] | None = None,
) -> tuple[Trajectories, int]:
    """Paths of p_net, one token at a time in the sampler's order, given t(n); and their cost, a call a free token."""
    every = StepTable(counts=tuple(range(backbone.length, -1, -1)), order=order)
    in_counts = sampler if steps_in_counts(sampler) else "fixed_counts"
    return own_paths(backbone, in_counts, every, draws, batch, given)


def free_groups(paths: Trajectories) -> Iterator[tuple[Int[Tensor, " r"], int]]:
    """Rows with the same number of free positions, and that number, smallest first; all rows where nothing is given."""
    if paths.given is None:
        yield torch.arange(len(paths), device=paths.index.device), paths.length
        return
    free = (~paths.given).sum(1)
    for number in free.unique().tolist():
        yield (free == number).nonzero()[:, 0], int(number)


def cut(
    paths: Trajectories, backbone: Backbone, sampler: str, table: StepTable, draws: Draws
) -> Trajectories:
    """The same sequences in the same order, cut into steps as the sampler's own distribution of reveals would.

    On counts the cut is fixed. On times each token's step is drawn with the chances of a reveal, and the steps
    are dealt out in the order of reveal: reveals do not depend on tokens, so the cut is independent of them.
    """
    assert paths.rank is not None
    step_of = torch.full_like(paths.rank, -1)
    for rows, num_free in free_groups(paths):
        own = draws.trajectory[rows]
        by_rank = _step_by_rank(backbone, sampler, rescaled(table, num_free), draws.seed, own, num_free)
        by_rank = torch.nn.functional.pad(by_rank, (paths.length - num_free, 0), value=-1)
        step_of[rows] = by_rank.gather(1, paths.rank[rows].long()).int()
    return replace(paths, reveal_step=step_of, steps=table.num_steps)


def _step_by_rank(
    backbone: Backbone, sampler: str, table: StepTable, seed: int, trajectory: Tensor, num_free: int
) -> Int[Tensor, "b n"]:
    """Step of the first, second ... free token to be unmasked."""
    if table.counts is not None:
        sizes = torch.tensor([n - m for n, m in pairwise(table.counts)])
        return torch.arange(table.num_steps).repeat_interleave(sizes).expand(len(trajectory), -1)
    chances = step_chances(backbone, sampler, table)
    uniform = uniform_grid(seed, trajectory, 0, num_free, Purpose.TIME)
    by_rank = torch.searchsorted(chances.cumsum(0), uniform, right=True).clamp(max=table.num_steps - 1)
    return by_rank.sort(dim=1).values


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
