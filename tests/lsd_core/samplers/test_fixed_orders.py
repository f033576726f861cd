"""Orders beside the random and the Halton one: the permutations they name, and what they are for."""

from itertools import combinations

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.samplers.catalog import SAMPLERS, certifiable
from lsd_core.samplers.loop import generate
from lsd_core.samplers.orders import ORDERS, UNIFORM
from lsd_core.samplers.orders.blocks import Blocks
from lsd_core.samplers.orders.fixed import Bisection, Dilated, LeftToRight, Permutation
from lsd_core.samplers.orders.halton_2d import HALTON_2D
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from tests.lsd_core.oracles import exact_backbone, push_in_order, tv
from tests.lsd_core.samplers.test_order import markov_law

DRAWS = Draws(3, torch.arange(2000))


@pytest.mark.parametrize("name", list(ORDERS))
@pytest.mark.parametrize("length", [1, 2, 5, 9, 16, 33])
def test_ranks_are_permutations_and_keys_lie_below_one(name: str, length: int) -> None:
    order = ORDERS[name]
    rank, keys = order.rank(DRAWS, length), order.keys(DRAWS, length)
    assert torch.equal(rank.sort(1).values, torch.arange(length).expand(2000, length))
    assert float(keys.min()) >= 0
    assert float(keys.max()) < 1
    assert all(len(row.unique()) == length for row in keys[:5])


def test_orders_without_chance_are_the_ones_they_name() -> None:
    assert LeftToRight().positions(4) == [0, 1, 2, 3]
    assert Bisection().positions(7) == [3, 1, 5, 0, 2, 4, 6]
    assert Bisection().positions(4) == [2, 1, 0, 3]
    assert Dilated().positions(8) == [0, 4, 2, 6, 1, 3, 5, 7]
    assert Dilated(base=3, block=9).positions(18) == [
        *(0, 3, 6, 1, 2, 4, 5, 7, 8),
        *(9, 12, 15, 10, 11, 13, 14, 16, 17),
    ]
    assert Permutation((2, 0, 1)).positions(3) == [2, 0, 1]
    assert LeftToRight().rank(DRAWS, 4)[0].tolist() == [0, 1, 2, 3]
    assert Permutation((2, 0, 1)).rank(DRAWS, 3)[0].tolist() == [1, 2, 0]


def test_blocks_come_left_to_right_with_the_order_inside() -> None:
    rank = Blocks(UNIFORM, 4).rank(DRAWS, 10)
    assert torch.equal(rank // 4, (torch.arange(10) // 4).expand(2000, 10))
    inside = rank[:, :4]
    assert torch.equal(inside, UNIFORM.keys(DRAWS, 10)[:, :4].argsort(1).argsort(1))


def test_two_dimensional_halton_spreads_over_rows_and_columns_and_treats_positions_alike() -> None:
    rank = HALTON_2D.rank(DRAWS, 36)
    for chain in rank[:50]:
        first = (chain < 6).nonzero()[:, 0]
        for one, other in combinations(first.tolist(), 2):
            apart = [abs(one // 6 - other // 6), abs(one % 6 - other % 6)]
            assert max(min(each, 6 - each) for each in apart) >= 2, "two of the first six touch"
    share = (rank == 0).double().mean(0)
    assert float((share - 1 / 36).abs().max()) < 4.5 * (1 / 36 / 2000) ** 0.5


def test_halving_all_gaps_is_exact_on_a_markov_chain() -> None:
    joint = markov_law(3, 3)
    target = torch.zeros(4, 4, 4, dtype=torch.float64)
    target[:3, :3, :3] = joint
    backbone, table = exact_backbone(joint), StepTable(counts=(3, 2, 0))
    bisected, leftmost = (
        push_in_order(SAMPLERS[name], backbone, table, ORDERS[name].rank(DRAWS, 3)[0])
        for name in ("bisection", "left_to_right")
    )
    assert tv(bisected, target.flatten()) < 1e-12
    assert tv(leftmost, target.flatten()) > 0.02


def test_an_order_is_a_base_sampler_of_counts_with_certificates() -> None:
    for name in ("left_to_right", "bisection", "dilated", "blocks", "halton_2d"):
        assert certifiable(SAMPLERS[name])
        assert SAMPLERS[name].grids == {"counts"}
    backbone = exact_backbone(markov_law(3, 4))
    samples = generate(backbone, "left_to_right", StepTable(counts=(4, 3, 2, 0)), 8, 0)
    assert int(samples.tokens.max()) < 3


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(InputError, match=r"order must be a permutation of 0 \.\. 3"):
        Permutation((0, 1, 1, 2)).positions(4)
    with pytest.raises(InputError, match="block"):
        Blocks(UNIFORM, 0)
    with pytest.raises(InputError, match="base, block"):
        Dilated(base=1)
