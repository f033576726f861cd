"""Complete paths of the absorbing chain as a certificate reads them: what, in which order, in which step."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.randomness import Purpose, uniform_grid
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable


@dataclass(frozen=True, eq=False)
class Paths:
    """b paths over l positions. Tokens of one step are in random order, so every count has a state."""

    x_end: Int[Tensor, "b l"]
    """The finished sequences."""
    rank: Int[Tensor, "b l"]
    """Order of reveal, 0 first."""
    step: Int[Tensor, "b l"]
    """Which step of a table reveals the position; never decreases with the rank."""
    mask: int
    """The token that hides a position."""

    def __len__(self) -> int:
        return len(self.x_end)

    def select(self, rows: slice | Tensor) -> "Paths":
        """The chosen paths."""
        return Paths(self.x_end[rows], self.rank[rows], self.step[rows], self.mask)

    def at_count(self, n: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """The states with n masked."""
        return self.x_end.masked_fill(self.rank >= self.x_end.shape[1] - n[:, None], self.mask)

    def at_step(self, step: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """The states when a step begins."""
        return self.x_end.masked_fill(self.step >= step[:, None], self.mask)

    def step_at_count(self, n: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """The step that reveals the next token when n >= 1 are masked."""
        order = self.rank.argsort(dim=1)
        return self.step.gather(1, order.gather(1, self.x_end.shape[1] - n[:, None]))[:, 0]


def factorised(sampler: str, backbone: Backbone) -> Euler:
    """The sampler, if a step of it draws every token from one look at the network; else InputError."""
    method = get_sampler(sampler, backbone.process)
    if not isinstance(method, Euler):
        rule = "look at the network once a step, as euler, tweedie and fixed_counts do, to be certified"
        raise InputError("sampler", rule, sampler)
    return method


def own_paths(
    backbone: Backbone, sampler: str, table: StepTable, draws: Draws, batch: int
) -> tuple[Paths, int]:
    """The paths that a sampler takes itself, and the sequences it sent through the network: up to M a path."""
    method = factorised(sampler, backbone)
    ends, steps, sequences = [], [], 0
    for begin in range(0, len(draws.trajectory), batch):
        own = Draws(draws.seed, draws.trajectory[begin : begin + batch])
        state = start(backbone, len(own.trajectory), own.trajectory.device)
        revealed_in = torch.zeros_like(state.x)
        for step in steps_of(table, backbone.length):
            before = state.x
            state = method.step(backbone, state, step, own)
            revealed_in = torch.where(state.x != before, step.index, revealed_in)
        ends.append(state.x)
        steps.append(revealed_in)
        sequences += int(state.calls.sum())
    step_of = torch.cat(steps)
    priority = uniform_grid(draws.seed, draws.trajectory, 0, backbone.length, Purpose.ORDER)
    rank = (step_of + priority).argsort(dim=1).argsort(dim=1)
    return Paths(torch.cat(ends), rank, step_of, backbone.process.mask), sequences


def one_at_a_time(backbone: Backbone, draws: Draws, batch: int) -> tuple[Paths, int]:
    """Paths of p_net, one token at a time in uniform order, told t(n); and their cost, l a path."""
    every = StepTable(counts=tuple(range(backbone.length, -1, -1)))
    return own_paths(backbone, "fixed_counts", every, draws, batch)


def cut(paths: Paths, backbone: Backbone, sampler: str, table: StepTable, draws: Draws) -> Paths:
    """The same sequences in the same order, cut into steps as the sampler's own law of reveals would.

    On counts the cut is fixed. On times each token's step is drawn with the chances of a reveal, and the steps
    are dealt out in the order of reveal: reveals do not depend on tokens, so the cut is independent of them.
    """
    b, length = paths.x_end.shape
    if table.counts is not None:
        sizes = [n - m for n, m in pairwise(table.counts)]
        by_rank = torch.arange(table.num_steps).repeat_interleave(torch.tensor(sizes)).expand(b, -1)
    else:
        chances = step_chances(backbone, sampler, table)
        uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.TIME)
        by_rank = torch.searchsorted(chances.cumsum(0), uniform, right=True).clamp(max=table.num_steps - 1)
        by_rank = by_rank.sort(dim=1).values
    return Paths(paths.x_end, paths.rank, by_rank.gather(1, paths.rank), paths.mask)


def step_chances(backbone: Backbone, sampler: str, table: StepTable) -> Tensor:
    """Chance (M,) that a token is revealed in each step of a grid of times."""
    method = factorised(sampler, backbone)
    kept, chances = 1.0, []
    for step in steps_of(table, backbone.length):
        chance = method.gained_chance(backbone, step)
        chances.append(kept * chance)
        kept *= 1 - chance
    return torch.tensor(chances, dtype=torch.float64)
