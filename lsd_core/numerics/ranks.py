"""Ranks of numbers within a row: the inverse of sorting it."""

import torch
from jaxtyping import Int, Num
from torch import Tensor


def ranks(keys: Num[Tensor, "*s"], dim: int = -1, *, descending: bool = False) -> Int[Tensor, "*s"]:
    """Rank of each entry along a dimension, 0 for the smallest (or largest); ties in the order they come."""
    order = keys.argsort(dim=dim, descending=descending, stable=True)
    shape = [1] * order.ndim
    shape[dim] = -1
    rank = torch.arange(order.shape[dim], device=order.device).view(shape)
    return torch.empty_like(order).scatter_(dim, order, rank.expand_as(order))
