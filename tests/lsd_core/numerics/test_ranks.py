"""Ranks are places in the sorted order, ties as they come, along any dimension."""

import pytest
import torch

from lsd_core.numerics.ranks import ranks


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_ranks_invert_sorting_and_keep_ties_in_order(dim: int, descending: bool) -> None:
    keys = torch.randint(5, (6, 7, 40), generator=torch.Generator().manual_seed(0)).double()
    keys[keys == 4] = torch.inf
    rank = ranks(keys, dim, descending=descending)
    order = keys.argsort(dim=dim, descending=descending, stable=True)
    place = torch.arange(keys.shape[dim]).expand(*keys.movedim(dim, -1).shape).movedim(-1, dim)
    assert torch.equal(rank.gather(dim, order), place)
