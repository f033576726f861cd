"""Every path of a small chain with its probability, as the estimators themselves read paths."""

from collections import Counter
from itertools import combinations_with_replacement, permutations
from math import factorial, prod

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.divergence import token_log_probs
from lsd_core.paths.masked_terms import Direction, log_score_gain, stopped_terms
from lsd_core.paths.sampler_paths import named, step_chances
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.replay import state_at_step
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.oracles import all_states, halton_ranks, number_of

BATCH = 10_000


def every_path(backbone: Backbone, sampler: str, table: StepTable) -> tuple[Trajectories, Tensor]:
    """All sequences in all orders with all cuts into the table's steps, and the chance of (order, cut)."""
    length = backbone.length
    tokens = all_states(backbone.process.num_tokens, length)
    ends, ranks, steps, chances = [], [], [], []
    orders = orders_of(sampler, backbone, table)
    for rank in orders:
        for by_rank, chance in cuts(backbone, sampler, table):
            ends.append(tokens)
            ranks.append(rank.expand_as(tokens))
            steps.append(torch.tensor(by_rank)[rank].expand_as(tokens))
            chances.append(torch.full((len(tokens),), chance / len(orders), dtype=torch.float64))
    end = torch.cat(ends)
    paths = Trajectories(
        index=torch.arange(len(end)),
        num_tokens=backbone.process.num_tokens,
        x_end=end,
        rank=torch.cat(ranks),
        reveal_step=torch.cat(steps),
        steps=table.num_steps,
    )
    return paths, torch.cat(chances)


def orders_of(sampler: str, backbone: Backbone, table: StepTable) -> Tensor:
    """Ranks (n, l) of the orders in which a sampler reveals, each as likely."""
    if table.order is not None:
        return torch.tensor(table.order).argsort()[None]
    if sampler == "halton":
        return halton_ranks(backbone.length)
    return torch.tensor(list(permutations(range(backbone.length))))


def cuts(backbone: Backbone, sampler: str, table: StepTable) -> list[tuple[tuple[int, ...], float]]:
    """Which step reveals the first, second ... token, and how likely that is."""
    length = backbone.length
    if table.counts is not None:
        return [(tuple(_step_of(table, n) for n in range(length, 0, -1)), 1.0)]
    chance = step_chances(backbone, sampler, table).tolist()
    out = []
    for by_rank in combinations_with_replacement(range(table.num_steps), length):
        ways = factorial(length) / prod(factorial(size) for size in Counter(by_rank).values())
        out.append((by_rank, ways * prod(chance[k] for k in by_rank)))
    return out


def _step_of(table: StepTable, n: int) -> int:
    assert table.counts is not None
    return next(k for k, m in enumerate(table.counts[1:]) if n > m)


def path_cost(backbone: Backbone, table: StepTable, paths: Trajectories, batch: int) -> Tensor:
    """-log q of the paths' tokens given order and cut (b,): a sum over the steps, `batch` paths a call."""
    cost = torch.zeros(len(paths), dtype=torch.float64)
    for begin in range(0, len(paths), batch):
        part = paths.select(slice(begin, begin + batch))
        assert part.x_end is not None
        assert part.reveal_step is not None
        for step in steps_of(table, backbone.length):
            t = torch.full((len(part),), step.t, dtype=torch.float64)
            features = backbone.features(state_at_step(part, step.index), t)
            rows = (part.reveal_step == step.index).nonzero(as_tuple=True)
            log_q = token_log_probs(backbone, features, rows, part.x_end[rows].long(), log_score_gain(step))
            cost[begin : begin + batch].index_add_(0, rows[0], -log_q)
    return cost


def path_law(backbone: Backbone, table: StepTable, paths: Trajectories, chance: Tensor) -> Tensor:
    """Probability of each path under the sampler with this table."""
    return chance * (-path_cost(backbone, table, paths, BATCH)).exp()


def output_law(backbone: Backbone, paths: Trajectories, weight: Tensor) -> Tensor:
    """Law over all states, masked ones included, of where the paths end."""
    num_states = backbone.process.num_states
    law = torch.zeros(num_states**backbone.length, dtype=torch.float64)
    return law.index_add(0, number_of(paths.x_end.long(), num_states), weight)


def summed_terms(
    backbone: Backbone,
    sampler: str,
    table: StepTable,
    paths: Trajectories,
    weight: Tensor,
    direction: Direction,
) -> float:
    """The exact expectation that `stopped_mean` estimates."""
    total, order = 0.0, named(sampler, backbone).order.of_table(table.order)
    for n in range(1, backbone.length + 1):
        terms = stopped_terms(backbone, table, paths, order, torch.full((len(paths),), n), direction)
        total += float((weight * terms).sum())
    return total


def kl(p: Tensor, q: Tensor) -> float:
    """KL(p || q) in nats over the states p can reach."""
    kept = p > 0
    return float((p[kept] * (p[kept] / q[kept]).log()).sum())
