"""The order of the positions, learned: candidates from the dependence between them, the cost along each decides.

1. Dependence along stored paths (`paths.dependence`) makes candidates (`order_candidates`): orders by place, the same
   along the graph's spectral line, and cuts from the end. Halton order and the best of each family, by what pairs of
   positions say, are costed.
2. Edges are costed on the network's own paths along each: a token that comes k-th costs, in a step from the state with
   i unmasked, KL(p(. | k unmasked) || p(. | i unmasked)). The sum over a schedule is its divergence from the network
   that unmasks one by one along the order; no token's probability enters, so few paths tell it well.
3. For each number of steps the order of the least cost is taken, if it beats Halton's by two standard errors; else
   Halton's.

One search serves all numbers of steps, their schedules included. Cost in sequences: about `price_sequences` for the
dependence, and half of that for each of at most four orders.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.distillation.order_candidates import (
    UNLEARNED,
    Positions,
    best_of,
    candidate_orders,
    expected_costs,
)
from lsd_core.distillation.schedule import cheapest_schedules
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.dependence import measure_dependence
from lsd_core.paths.divergence import features_at_count, position_kl
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import LEAST_PATHS, EdgeCosts, Progress, silent
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.replay import hidden_at_count, state_at_count, timed

MOST_SCORED = 64  # steps of the longest schedule by which candidates are ranked
SHARE = 4  # of the budget of the edge costs, for the paths of each order that is compared
ERRORS = 2.0  # standard errors by which an order must beat Halton's


@dataclass(frozen=True, eq=False)
class Costed:
    """An order and the costs along it, path by path."""

    order: Positions
    edges: Float[Tensor, "b n n"]
    """[b, i, j]: cost of the step that unmasks the i-th to the j-th position of the order at once."""
    sequences: int
    """Sequences sent through the network."""

    @property
    def costs(self) -> EdgeCosts:
        """Their means; one by one costs nothing."""
        return EdgeCosts(self.edges.mean(0), 0.0, self.sequences)

    def divergence(self, num_steps: int) -> Float[Tensor, " b"]:
        """What the best schedule of so many steps costs each path, in nats."""
        nodes = cheapest_schedules(self.costs.cost, num_steps)[num_steps - 1].nodes
        return torch.stack([self.edges[:, i, j] for i, j in pairwise(nodes)]).sum(0)


@dataclass(frozen=True, eq=False)
class OrderSearch:
    """The orders that were compared, and what it took."""

    costed: dict[str, Costed]
    sequences: int

    def best(self, num_steps: int) -> tuple[str, dict[str, dict[str, float]]]:
        """The name of the order to take for so many steps, and the cost of each that was compared, in nats."""
        nats = {name: each.divergence(num_steps) for name, each in self.costed.items()}
        least = min(nats, key=lambda name: float(nats[name].mean()))
        gap = nats[UNLEARNED] - nats[least]
        taken = least if float(gap.mean()) > ERRORS * _error(gap) else UNLEARNED
        costs = {
            name: {"nats": float(each.mean()), "standard_error": _error(each)} for name, each in nats.items()
        }
        return taken, costs


def search_orders(model: MaskedModel, max_sequences: int, progress: Progress = silent) -> OrderSearch:
    """Compare orders for a sampler whose order is learned, on stored paths and the network's own."""
    stored = timed(model.stored, model.seed)
    paths = stored.select(slice(max(LEAST_PATHS, max_sequences // model.length)))
    dependence = measure_dependence(model.backbone, paths, model.batch)
    steps = [2**k for k in range(1, MOST_SCORED.bit_length()) if 2**k < model.length] or [1]

    def score(order: Positions) -> list[float]:
        schedules = cheapest_schedules(expected_costs(dependence, order), max(steps))
        return [schedules[num_steps - 1].cost for num_steps in steps]

    chosen = best_of(candidate_orders(dependence), score)
    root = model.seed if model.teacher_seed is None else model.teacher_seed
    wanted = max(LEAST_PATHS, max_sequences // (SHARE * model.length))
    draws = Draws(derive_seed("order search", root), torch.arange(wanted))
    costed = dict[str, Costed]()
    for name, order in chosen.items():
        costed[name] = cost_order(replace(model, permutation=order), draws)
        progress("orders", len(costed) / len(chosen))
    return OrderSearch(costed, dependence.sequences + sum(each.sequences for each in costed.values()))


def cost_order(model: MaskedModel, draws: Draws) -> Costed:
    """The edges along the model's order on the network's own paths: 2 l calls a path, half of them to draw it."""
    assert model.permutation is not None
    paths, drawn = model.one_at_a_time(draws)
    size = model.length + 1
    edges = torch.zeros(len(paths), size, size, dtype=torch.float64)
    for part in pieces(len(paths), model.batch):
        some, own, place = paths.select(part), None, torch.tensor(model.permutation)
        for node in reversed(range(model.length)):
            n = model.length - node
            features = features_at_count(model.backbone, state_at_count(some, n), torch.full((len(some),), n))
            own = torch.zeros_like(features) if own is None else own
            own[:, place[node]] = features[:, place[node]]  # where the network unmasks one by one
            tokens = position_kl(model.backbone, own, features, hidden_at_count(some, n))
            edges[part, node, node + 1 :] = tokens[:, place[node:]].cumsum(1)
    return Costed(model.permutation, edges, drawn + len(paths) * model.length)


def _error(values: Float[Tensor, " b"]) -> float:
    return float(values.std() / len(values) ** 0.5)
