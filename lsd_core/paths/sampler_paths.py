"""Complete paths of the absorbing chain as a certificate reads them: what, in which order, in which step."""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.catalog import factorised, get_sampler, steps_in_counts
from lsd_core.samplers.loop import walk
from lsd_core.samplers.one_call import OneCall, Unmasking
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable


@dataclass(frozen=True, eq=False)
class Paths:
    """b paths over l positions. Tokens of one step are in an order too, so every count has a state."""

    x_end: Int[Tensor, "b l"]
    """The finished sequences."""
    rank: Int[Tensor, "b l"]
    """Order of reveal, 0 first."""
    step: Int[Tensor, "b l"]
    """Which step of a table reveals the position; never decreases with the rank."""
    mask: int
    """The token that hides a position."""
    order: Order = UNIFORM
    """The law of their order of reveal, which is independent of the tokens."""

    def __len__(self) -> int:
        return len(self.x_end)

    def select(self, rows: slice | Tensor) -> "Paths":
        """The chosen paths."""
        return replace(self, x_end=self.x_end[rows], rank=self.rank[rows], step=self.step[rows])

    def at_count(self, n: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """The states with n masked."""
        return self.x_end.masked_fill(self.rank >= self.x_end.shape[1] - n[:, None], self.mask)

    def at_step(self, step: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """The states when a step begins."""
        return self.x_end.masked_fill(self.step >= step[:, None], self.mask)

    def next_at_count(self, n: Int[Tensor, " b"]) -> Bool[Tensor, "b l"]:
        """Where the next token may come when n are masked: all masked alike, or the next in the path's order."""
        place = self.x_end.shape[1] - n[:, None]
        return self.rank >= place if self.order.exchangeable else self.rank == place

    def step_at_count(self, n: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """The step that reveals the next token when n >= 1 are masked."""
        order = self.rank.argsort(dim=1)
        return self.step.gather(1, order.gather(1, self.x_end.shape[1] - n[:, None]))[:, 0]


def named(sampler: str, backbone: Backbone) -> OneCall:
    """The sampler of that name, if a step of it draws every token from one network call."""
    return factorised(get_sampler(sampler, backbone.process))


def own_paths(
    backbone: Backbone, sampler: str, table: StepTable, draws: Draws, batch: int
) -> tuple[Paths, int]:
    """The paths that a sampler takes itself, and the sequences it sent through the network: up to M a path."""
    method = named(sampler, backbone)
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
    rank = (step_of + method.order.keys(draws, backbone.length)).argsort(dim=1).argsort(dim=1)
    return Paths(torch.cat(ends), rank, step_of, backbone.process.mask, method.order), sequences


def one_at_a_time(backbone: Backbone, sampler: str, draws: Draws, batch: int) -> tuple[Paths, int]:
    """Paths of p_net, one token at a time in the sampler's order, told t(n); and their cost, l a path."""
    every = StepTable(counts=tuple(range(backbone.length, -1, -1)))
    in_counts = sampler if steps_in_counts(sampler) else "fixed_counts"
    return own_paths(backbone, in_counts, every, draws, batch)


def cut(paths: Paths, backbone: Backbone, sampler: str, table: StepTable, draws: Draws) -> Paths:
    """The same sequences, cut into steps as the sampler's own law of reveals would.

    Their order is kept if it has the sampler's law, and replaced by one that has if not. On counts the cut is
    fixed. On times each token's step is drawn with the chances of a reveal, and the steps are dealt out in the
    order of reveal: reveals do not depend on tokens, so the cut is independent of them.
    """
    b, length = paths.x_end.shape
    order = named(sampler, backbone).order
    rank = paths.rank if order == paths.order else order.rank(draws, length)
    if table.counts is not None:
        sizes = [n - m for n, m in pairwise(table.counts)]
        by_rank = torch.arange(table.num_steps).repeat_interleave(torch.tensor(sizes)).expand(b, -1)
    else:
        chances = step_chances(backbone, sampler, table)
        uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.TIME)
        by_rank = torch.searchsorted(chances.cumsum(0), uniform, right=True).clamp(max=table.num_steps - 1)
        by_rank = by_rank.sort(dim=1).values
    return Paths(paths.x_end, rank, by_rank.gather(1, rank), paths.mask, order)


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
