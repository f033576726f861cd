"""Ranks of numbers within a row: the inverse of sorting it."""

from jaxtyping import Int, Num
from torch import Tensor


def ranks(keys: Num[Tensor, "*s"], dim: int = -1, *, descending: bool = False) -> Int[Tensor, "*s"]:
    """Rank of each entry along a dimension, 0 for the smallest (or largest); ties in the order they come."""
    return keys.argsort(dim=dim, descending=descending, stable=True).argsort(dim=dim)
