"""Two-dimensional Halton order, for pictures stored row by row."""

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.state import Draws


@dataclass(frozen=True)
class Halton2D(Order):
    """Halton points in bases 2 and 3 over the rows and columns of a square (Besnier et al., arXiv 2503.17076).

    A point falls into a cell, and cells come in the order in which they are first hit. Each trajectory shifts
    rows and columns around by random numbers, so that every position is as likely to have any place.
    """

    name: ClassVar[str] = "halton_2d"

    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
        """Keys; where l is no square, cells of the next larger one that are no positions are left out."""
        side = math.isqrt(length - 1) + 1
        shift = (draws.grid(0, Purpose.ORDER, max(2, length))[:, :2] * side).long()
        position = torch.arange(length, device=shift.device)
        row = (position // side + shift[:, :1]) % side
        column = (position % side + shift[:, 1:]) % side
        rank = torch.tensor(cell_ranks(side), device=shift.device)
        return rank[row * side + column].double() / side**2


@cache
def cell_ranks(side: int) -> tuple[int, ...]:
    """Rank of each cell (row-major) of a square by its first Halton point."""
    rank, index = dict[int, int](), 0
    while len(rank) < side**2:
        cell = int(side * radical_inverse(index, 2)) * side + int(side * radical_inverse(index, 3))
        rank.setdefault(cell, len(rank))
        index += 1
    return tuple(rank[cell] for cell in range(side**2))


def radical_inverse(index: int, base: int) -> float:
    """The digits of the index in this base, mirrored behind the point."""
    value, scale = 0.0, 1.0
    while index:
        scale /= base
        value += scale * (index % base)
        index //= base
    return value


HALTON_2D = Halton2D()
