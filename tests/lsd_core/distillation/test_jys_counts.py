"""JYS along an order: its counts are the best by its own objective there, and not those of a uniform order."""

from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.distillation.doubling import best_count
from lsd_core.distillation.jys import JYSConfig, fit
from lsd_core.distillation.jys_counts import CountSearch
from lsd_core.distillation.learned import Kept, Learned
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.orders.fixed import FixedOrder
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.distillation.test_order_search import LENGTH, chain, data_law, problem
from tests.lsd_core.oracles import all_states, features_at, misfit_backbone, number_of

Costs = dict[tuple[int, int], float]


def positions(sampler: str) -> list[int]:
    order = SAMPLERS[sampler].order
    assert isinstance(order, FixedOrder)
    return order.positions(LENGTH)


def weights() -> Tensor:
    """Chance of each sequence of the chain."""
    return data_law(chain(None))[number_of(all_states(2, LENGTH), 3)]


@cache
def step_costs(sampler: str) -> Costs:
    """KLUB of each step n -> m from the chain that unmasks one by one along the order, summed over all sequences."""
    backbone, order, length = chain(None), positions(sampler), LENGTH
    tokens, weight = all_states(2, length), weights()
    early = {}
    for n in range(1, length + 1):
        hidden = torch.zeros(length, dtype=torch.bool)
        hidden[order[length - n :]] = True
        early[n] = features_at(backbone, tokens.masked_fill(hidden, 2), 0.5).log_softmax(-1)
    costs = dict[tuple[int, int], float]()
    for n, m in combinations(range(length, -1, -1), 2):
        total = 0.0
        for k in range(n, m, -1):  # the position that comes when k are masked
            own, step = early[k][:, order[length - k]], early[n][:, order[length - k]]
            total += float((weight * (own.exp() * (own - step)).sum(-1)).sum())
        costs[n, m] = total
    return costs


def objective(costs: Costs, counts: tuple[int, ...]) -> float:
    return sum(costs[step] for step in pairwise(counts))


def schedules(num_steps: int) -> list[tuple[int, ...]]:
    inner = combinations(range(LENGTH - 1, 0, -1), num_steps - 1)
    return [(LENGTH, *counts, 0) for counts in inner]


def search(sampler: str, num_steps: int, paths: int = 256, **changes: Any) -> Learned:
    cell = problem(chain(None), sampler, num_steps, **{"batch": 256} | changes)
    return fit(cell, JYSConfig(paths=paths))


@pytest.mark.parametrize("sampler", ["bisection", "left_to_right", "dilated"])
@pytest.mark.parametrize("num_steps", [2, 3, 4])
def test_no_schedule_of_all_has_less_of_its_objective_along_the_order(sampler: str, num_steps: int) -> None:
    costs = step_costs(sampler)
    found = search(sampler, num_steps).table.counts
    assert found is not None
    least = min(objective(costs, counts) for counts in schedules(num_steps))
    worst = max(objective(costs, counts) for counts in schedules(num_steps))
    # Doubling is greedy: its first split is kept. Of what a schedule can gain it leaves a twentieth at most.
    assert objective(costs, found) <= least + 0.05 * (worst - least)


def test_the_first_split_is_the_best_of_all() -> None:
    for sampler in ("bisection", "left_to_right", "dilated"):
        costs = step_costs(sampler)
        found = search(sampler, 2).table.counts
        assert found is not None
        least = min(objective(costs, counts) for counts in schedules(2))
        assert objective(costs, found) == pytest.approx(least, abs=0.005)  # between equals chance decides


def test_a_saving_is_the_fall_of_the_objective() -> None:
    backbone, costs, tokens = chain(None), step_costs("bisection"), all_states(2, LENGTH)
    rank = torch.tensor(positions("bisection")).argsort().expand(len(tokens), -1)
    paths = Trajectories(index=torch.arange(len(tokens)), num_tokens=2, x_end=tokens, rank=rank)
    model = MaskedModel(backbone=backbone, method=named("bisection", backbone), batch=256)
    looked_at = CountSearch(model, paths, 8)
    for n, k, m in ((8, 5, 0), (8, 7, 1), (5, 3, 2), (4, 2, 0)):
        saved = looked_at.saving(paths, looked_at.features(paths, n), k, m)
        expected = costs[n, m] - costs[n, k] - costs[k, m]
        assert float((weights() * saved).sum()) == pytest.approx(expected, abs=1e-9)


def test_along_bisection_a_chain_takes_its_levels_and_in_uniform_order_it_does_not() -> None:
    along, uniform = search("bisection", 4).table.counts, search("fixed_counts", 4).table.counts
    assert along == (8, 7, 5, 4, 0)  # the middle, its halves' middles, one of two neighbours, all others
    assert objective(step_costs("bisection"), along) < 1e-4
    assert uniform is not None
    assert objective(step_costs("bisection"), uniform) > 0.05


@pytest.mark.parametrize("sampler", ["halton", "learned_order", "blocks"])
def test_it_counts_its_calls_and_shares_paths_and_search_among_seeds(sampler: str) -> None:
    backbone, kept, config = misfit_backbone(2, 2, 5, timed=True), Kept(), JYSConfig(paths=16)
    cell = problem(backbone, sampler, 2, batch=16)
    backbone.sequences = 0
    first = fit(replace(cell, keep=kept), config)
    assert (
        first.sequences == backbone.sequences == 16 * (5 + 1 + 4)
    )  # paths; the state of the step, its 4 counts
    assert (first.table.order is not None) == (sampler == "learned_order")
    assert fit(replace(cell, keep=kept, seed=4), config) == first == fit(cell, config)
    assert backbone.sequences == 2 * first.sequences
    more = fit(replace(cell, keep=kept, num_steps=3), config)
    assert backbone.sequences == 2 * first.sequences + more.sequences - first.sequences  # paths, first split
    assert more == fit(replace(cell, num_steps=3), config)


def test_every_budget_up_to_one_token_a_step_is_reached() -> None:
    for num_steps in (1, 5, 8):
        assert len(search("bisection", num_steps, paths=8).table.gains) == num_steps


def test_long_steps_are_split_by_golden_section() -> None:
    looked_at = list[int]()

    def value(count: int) -> float:
        looked_at.append(count)
        return -float((count - 700) ** 2)

    found = best_count(value, 0, 1000, 15)
    assert found is not None
    assert abs(found.time - 700) <= 1
    assert len(looked_at) == len(set(looked_at)) <= 17
    assert best_count(value, 3, 4, 15) is None


def specs(samplers: list[str]) -> dict[str, CandidateSpec]:
    grid = load_grid("tiny", samplers=samplers, methods=["plain", "jys"])
    return {spec.sampler: spec for spec in make_plan(grid).candidates if spec.method == "jys"}


def test_only_cells_along_an_order_have_new_keys() -> None:
    found = specs(["euler", "tweedie", "fixed_counts", "confidence", "halton", "bisection"])
    recorded = {sampler: spec.components for sampler, spec in found.items()}
    for sampler in ("halton", "bisection"):
        assert recorded.pop(sampler) == {"lsd.methods:jys": ("lsd-samplers", 2)}
    assert not any(recorded.values())
    before = replace(found["halton"], components={})  # the spec of a card that version 1 made
    assert before.key != found["halton"].key
    assert CandidateSpec.from_dict(before.to_dict()) == before
