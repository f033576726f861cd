"""Every path of a small chain with its probability, as the estimators themselves read paths."""

from collections import Counter
from itertools import combinations_with_replacement, permutations
from math import factorial, prod

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.path_terms import Direction, path_cost, stopped_terms
from lsd_core.paths.sampler_paths import Paths, named, step_chances
from lsd_core.samplers.table import StepTable
from tests.lsd_core.oracles import all_states, halton_ranks, number_of

BATCH = 10_000


def every_path(backbone: Backbone, sampler: str, table: StepTable) -> tuple[Paths, Tensor]:
    """All sequences in all orders with all cuts into the table's steps, and the chance of (order, cut)."""
    length = backbone.length
    tokens = all_states(backbone.process.num_tokens, length)
    ends, ranks, steps, chances = [], [], [], []
    orders = orders_of(sampler, backbone)
    for rank in orders:
        for by_rank, chance in cuts(backbone, sampler, table):
            ends.append(tokens)
            ranks.append(rank.expand_as(tokens))
            steps.append(torch.tensor(by_rank)[rank].expand_as(tokens))
            chances.append(torch.full((len(tokens),), chance / len(orders), dtype=torch.float64))
    order = named(sampler, backbone).order
    paths = Paths(torch.cat(ends), torch.cat(ranks), torch.cat(steps), backbone.process.mask, order)
    return paths, torch.cat(chances)


def orders_of(sampler: str, backbone: Backbone) -> Tensor:
    """Ranks (n, l) of the orders in which a sampler reveals, each as likely."""
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


def path_law(backbone: Backbone, table: StepTable, paths: Paths, chance: Tensor) -> Tensor:
    """Probability of each path under the sampler with this table."""
    return chance * (-path_cost(backbone, table, paths, BATCH)).exp()


def output_law(backbone: Backbone, paths: Paths, weight: Tensor) -> Tensor:
    """Law over all states, masked ones included, of where the paths end."""
    num_states = backbone.process.num_states
    law = torch.zeros(num_states**backbone.length, dtype=torch.float64)
    return law.index_add(0, number_of(paths.x_end, num_states), weight)


def summed_terms(
    backbone: Backbone, table: StepTable, paths: Paths, weight: Tensor, direction: Direction
) -> float:
    """The exact expectation that `stopped_mean` estimates."""
    total = 0.0
    for n in range(1, backbone.length + 1):
        terms = stopped_terms(backbone, table, paths, torch.full((len(paths),), n), direction)
        total += float((weight * terms).sum())
    return total


def kl(p: Tensor, q: Tensor) -> float:
    """KL(p || q) in nats over the states p can reach."""
    kept = p > 0
    return float((p[kept] * (p[kept] / q[kept]).log()).sum())
