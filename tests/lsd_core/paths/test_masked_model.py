"""Prices of edges: sums along the paths, from one call a (path, node)."""

from itertools import pairwise

import pytest
import torch

from lsd_core.paths import divergence
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import EdgeCosts
from lsd_core.paths.sampler_paths import cut, named, one_at_a_time
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.orders import HALTON
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.replay import timed
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.certificates.enumerated import path_cost
from tests.lsd_core.oracles import TableBackbone, misfit_backbone

LENGTH = 4


@pytest.fixture(params=[False, True], ids=["time_free", "timed"])
def backbone(request: pytest.FixtureRequest) -> TableBackbone:
    return misfit_backbone(1, 3, LENGTH, timed=request.param)


@pytest.fixture
def paths(backbone: TableBackbone) -> Trajectories:
    return timed(first_hitting(backbone, Draws(2, torch.arange(9))), seed=0)


def edge_costs(
    backbone: TableBackbone, paths: Trajectories, batch: int, *, pooled: bool = False
) -> EdgeCosts:
    return model(backbone, batch, pooled=pooled).edge_costs(paths)


def model(backbone: TableBackbone, batch: int, **settings: bool) -> MaskedModel:
    return MaskedModel(backbone=backbone, method=named("euler", backbone), batch=batch, **settings)


@pytest.mark.parametrize("counts", [(4, 0), (4, 3, 1, 0), (4, 3, 2, 1, 0)])
def test_a_schedules_price_is_what_its_sampler_charges_for_the_paths(
    backbone: TableBackbone, paths: Trajectories, counts: tuple[int, ...]
) -> None:
    cost = edge_costs(backbone, paths, batch=4).cost
    price = sum(float(cost[LENGTH - n, LENGTH - m]) for n, m in pairwise(counts))
    table = StepTable(counts=counts)
    steps = cut(paths, backbone, "fixed_counts", table, Draws(0, paths.index))
    assert price == pytest.approx(float(path_cost(backbone, table, steps, 9).mean()), abs=1e-12)


def test_along_another_order_a_price_is_what_that_orders_sampler_charges_for_its_own_paths(
    backbone: TableBackbone,
) -> None:
    counts, draws = (4, 2, 1, 0), Draws(7, torch.arange(9))
    own, drawn = one_at_a_time(backbone, "halton", draws, batch=4)
    assert drawn == LENGTH * len(own)
    assert torch.equal(own.rank, HALTON.rank(draws, LENGTH).int())
    prices = edge_costs(backbone, own, batch=4)
    price = sum(float(prices.cost[LENGTH - n, LENGTH - m]) for n, m in pairwise(counts))
    table = StepTable(counts=counts)
    steps = cut(own, backbone, "halton", table, draws)
    assert torch.equal(steps.rank, own.rank)  # their order has the sampler's law, and is kept
    assert price == pytest.approx(float(path_cost(backbone, table, steps, 9).mean()), abs=1e-12)
    every = StepTable(counts=(4, 3, 2, 1, 0))
    assert prices.own == pytest.approx(float(path_cost(backbone, every, own, 9).mean()), abs=1e-12)


def test_own_cost_is_the_price_of_revealing_one_by_one(backbone: TableBackbone, paths: Trajectories) -> None:
    prices = edge_costs(backbone, paths, batch=9)
    assert prices.own == pytest.approx(float(prices.cost.diagonal(1).sum()), abs=1e-12)


def test_one_call_prices_all_edges_that_leave_a_node(backbone: TableBackbone, paths: Trajectories) -> None:
    before = backbone.sequences
    prices = edge_costs(backbone, paths, batch=4)
    assert prices.sequences == backbone.sequences - before == LENGTH * len(paths)


def test_neither_batches_nor_chunks_of_laws_change_a_price(
    backbone: TableBackbone, paths: Trajectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = edge_costs(backbone, paths, batch=9).cost
    monkeypatch.setattr(divergence, "ELEMENTS", 7)  # two rows a chunk
    assert torch.allclose(edge_costs(backbone, paths, batch=2).cost, whole, atol=1e-12)


def test_pooled_prices_grow_in_proportion_to_the_tokens_revealed(
    backbone: TableBackbone, paths: Trajectories
) -> None:
    exact, pooled = (edge_costs(backbone, paths, 9, pooled=pooled).cost for pooled in (False, True))
    assert torch.allclose(pooled[:, -1], exact[:, -1])  # all masked tokens: nothing to pool
    assert torch.allclose(pooled[0, 1:], pooled[0, 1] * torch.arange(1, LENGTH + 1))
    assert not torch.allclose(pooled, exact)
