"""Candidate orders: permutations all, cuts that swaps cannot lower, and a chain's own combs where there is one."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lsd_core.distillation.order_candidates import (
    UNLEARNED,
    best_of,
    candidate_orders,
    cut_order,
    expected_costs,
    lower_by_swaps,
    spectral_line,
    swap_sets,
    within,
)
from lsd_core.paths.dependence import Dependence
from lsd_core.samplers.orders.halton import halton_positions

LENGTH = 16
PLACES = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(1)).tolist()


def chain_dependence(places: list[int]) -> Dependence:
    """Dependence that falls off with the distance along a chain, whose k-th token stands at places[k]."""
    along = torch.tensor(places).argsort()
    weights = 0.5 ** (along[:, None] - along).abs().double()
    total = weights.fill_diagonal_(0).expand(5, -1, -1)
    return Dependence(total, torch.ones_like(total), 0)


def random_weights(sets: int) -> Tensor:
    weights = torch.rand(
        sets, LENGTH, LENGTH, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    weights = weights + weights.transpose(1, 2)
    weights[:, range(LENGTH), range(LENGTH)] = 0
    return weights


@pytest.mark.parametrize("length", [1, 2, 3, 9, 16])
def test_every_candidate_is_a_permutation(length: int) -> None:
    shape = ((length - 1).bit_length() + 1, length, length)
    gen = torch.Generator().manual_seed(0)
    dependence = Dependence(torch.rand(shape, generator=gen).double(), torch.ones(shape).double(), 0)
    families = candidate_orders(dependence)
    names = [name for family in families.values() for name in family]
    assert len(set(names)) == len(names)
    assert all(
        sorted(order) == list(range(length)) for family in families.values() for order in family.values()
    )
    assert families["place"][UNLEARNED] == halton_positions(length)


def test_the_spectral_line_is_the_chain() -> None:
    line = spectral_line(chain_dependence(PLACES).near(8))
    assert line in (PLACES, PLACES[::-1])


def test_cuts_unmask_every_second_token_of_a_chain_last_wherever_its_tokens_stand() -> None:
    dependence = chain_dependence(PLACES)
    along = torch.tensor(PLACES).argsort()
    for line in (range(LENGTH), PLACES):
        order = cut_order(dependence, line)
        assert sorted(order) == list(range(LENGTH))
        places = along[torch.tensor(order)]
        assert len({int(i) % 2 for i in places[8:]}) == 1
        assert len({int(i) // 2 % 2 for i in places[4:8]}) == 1


def test_swaps_between_sets_lower_what_the_halving_schedule_should_cost() -> None:
    dependence, start = chain_dependence(PLACES), halton_positions(LENGTH)
    found = swap_sets(dependence, start)
    assert sorted(found) == list(range(LENGTH))
    before, after = (
        sum(float(expected_costs(dependence, order)[i, j]) for i, j in pairwise((0, 1, 2, 4, 8, 16)))
        for order in (start, found)
    )
    assert after < 0.8 * before


@pytest.mark.parametrize("sets", [2, 3])
def test_swaps_lower_the_dependence_within_until_none_does(sets: int) -> None:
    weights, start = random_weights(sets), torch.arange(LENGTH) % sets
    found = lower_by_swaps(start, weights)
    assert torch.equal(found.sort().values, start.sort().values)
    least = within(found, weights)
    assert least < within(start, weights)
    for i in range(LENGTH):
        for j in range(i):
            swapped = found.clone()
            swapped[i], swapped[j] = found[j], found[i]
            assert within(swapped, weights) >= least - 1e-9


def test_expected_costs_sum_the_pairs_of_a_step() -> None:
    dependence = Dependence(random_weights(5), torch.ones(5, LENGTH, LENGTH).double(), 0)
    order = tuple(PLACES)
    costs = expected_costs(dependence, order)
    for begin, end in ((0, 5), (3, 4), (6, 16), (9, 13)):
        near = dependence.near(begin)
        pairs = sum(float(near[order[i], order[j]]) for j in range(begin, end) for i in range(begin, j))
        assert float(costs[begin, end]) == pytest.approx(pairs)


def test_the_best_of_each_family_goes_on_and_the_unlearned_order_always() -> None:
    families = {
        "place": {UNLEARNED: (0, 1, 2), "other": (1, 0, 2)},
        "cuts": {"a": (2, 1, 0), "b": (2, 0, 1)},
        "spectral": {"again": (1, 0, 2)},
    }
    scores = {(0, 1, 2): [9.0, 9.0], (1, 0, 2): [1.0, 2.0], (2, 1, 0): [5.0, 1.0], (2, 0, 1): [4.0, 0.5]}
    chosen = best_of(families, scores.__getitem__)
    assert chosen == {UNLEARNED: (0, 1, 2), "other": (1, 0, 2), "b": (2, 0, 1)}
