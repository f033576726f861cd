"""Optimal schedules by dynamic programming: the shortest path of exactly M edges, for every M at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """A path through the nodes of a grid, first node to last, and its cost."""

    nodes: tuple[int, ...]
    cost: float

    @property
    def num_steps(self) -> int:
        return len(self.nodes) - 1


def cheapest_schedules(cost: Float[Tensor, "n n"], max_steps: int) -> list[Schedule]:
    """For M = 1 .. max_steps the path from node 0 to the last with M edges and the smallest total cost.

    cost[i, j] is the cost of stepping from node i straight to node j > i; other entries are ignored. The
    costs of a path add up, so Bellman's recursion best_M(j) = min_i best_{M-1}(i) + cost[i, j] is globally
    optimal.
    Cost O(max_steps n^2).
    """
    num_nodes = len(cost)
    if not 1 <= max_steps < num_nodes:
        raise InputError("num_steps", f"lie in 1 .. {num_nodes - 1}, the edges of the grid", max_steps)
    edges = cost.double().masked_fill(torch.ones_like(cost, dtype=torch.bool).tril(), torch.inf)
    best = torch.full((num_nodes,), torch.inf, dtype=torch.float64)
    best[0] = 0.0
    origins, costs = [], []
    for _ in range(max_steps):
        best, origin = (best[:, None] + edges).min(dim=0)
        origins.append(origin.tolist())
        costs.append(float(best[-1]))
    return [_walk_back(origins[:m], total) for m, total in enumerate(costs, start=1)]


def _walk_back(origins: list[list[int]], cost: float) -> Schedule:
    nodes = [len(origins[0]) - 1]
    for origin in reversed(origins):
        nodes.append(origin[nodes[-1]])
    return Schedule(tuple(reversed(nodes)), cost)
