"""The dynamic program finds what trying every schedule finds."""

from itertools import combinations, pairwise

import pytest
import torch

from lsd_core.distillation.schedule import cheapest_schedules
from lsd_core.errors import InputError

GRID = 12  # times


@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force_over_all_schedules_on_twelve_times(seed: int) -> None:
    cost = torch.rand(GRID, GRID, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for num_steps, schedule in enumerate(cheapest_schedules(cost, 6), start=1):
        every = [(0, *inner, GRID - 1) for inner in combinations(range(1, GRID - 1), num_steps - 1)]
        prices = [sum(float(cost[i, j]) for i, j in pairwise(path)) for path in every]
        best = min(range(len(every)), key=prices.__getitem__)
        assert schedule.nodes == every[best]
        assert schedule.cost == pytest.approx(prices[best], abs=1e-12)
        assert schedule.num_steps == num_steps


def test_never_steps_backwards_however_cheap_that_is() -> None:
    cost = torch.ones(4, 4, dtype=torch.float64).tril(-1) * -100 + torch.ones(4, 4, dtype=torch.float64).triu(
        1
    )
    assert cheapest_schedules(cost, 3)[2].nodes == (0, 1, 2, 3)


def test_more_steps_than_edges_are_refused() -> None:
    with pytest.raises(InputError, match=r"num_steps must lie in 1 \.\. 3"):
        cheapest_schedules(torch.ones(4, 4), 4)
