"""Orders without chance: a given permutation, left to right, bisection, dilated groups."""

import heapq
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.state import Draws


class FixedOrder(Order):
    """One order of the positions for all trajectories."""

    @abstractmethod
    def positions(self, length: int) -> list[int]:
        """The positions, first unmasked first."""

    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
        rank = torch.tensor(self.positions(length), device=draws.trajectory.device).argsort()
        return (rank.double() / length).expand(len(draws.trajectory), -1)


@dataclass(frozen=True)
class Permutation(FixedOrder):
    """A given permutation."""

    name: ClassVar[str] = "permutation"
    order: tuple[int, ...]
    """The positions, first unmasked first."""

    def positions(self, length: int) -> list[int]:
        if sorted(self.order) != list(range(length)):
            raise InputError("order", f"be a permutation of 0 .. {length - 1}", list(self.order))
        return list(self.order)


@dataclass(frozen=True)
class LeftToRight(FixedOrder):
    """The order of autoregressive models."""

    name: ClassVar[str] = "left_to_right"

    def positions(self, length: int) -> list[int]:
        return list(range(length))


@dataclass(frozen=True)
class Bisection(FixedOrder):
    """The midpoint of the longest gap next, the leftmost of equal ones (arXiv 2606.22976).

    On a Markov chain log2 l steps along it, each of which halves all gaps, are exact.
    """

    name: ClassVar[str] = "bisection"

    def positions(self, length: int) -> list[int]:
        gaps, out = [(-length, 0)], list[int]()  # (minus the positions in the gap, its first one)
        while gaps:
            size, begin = heapq.heappop(gaps)
            middle = begin + -size // 2
            out.append(middle)
            for first, end in ((begin, middle), (middle + 1, begin - size)):
                if end > first:
                    heapq.heappush(gaps, (first - end, first))
        return out


@dataclass(frozen=True)
class Dilated(FixedOrder):
    """Dilated groups (DUS, arXiv 2506.19037): in a block of B, group k holds the positions at spacing B // base^k."""

    name: ClassVar[str] = "dilated"
    base: int = 2
    """How many times narrower the spacing of the next group is."""
    block: int | None = None
    """B; the whole sequence if not given. Blocks come left to right."""

    def __post_init__(self) -> None:
        if self.base < 2 or (self.block is not None and self.block < 1):
            raise InputError("base, block", "be at least 2 and 1", (self.base, self.block))

    def positions(self, length: int) -> list[int]:
        block = self.block or length
        return [
            i for begin in range(0, length, block) for i in self._within(begin, min(begin + block, length))
        ]

    def _within(self, begin: int, end: int) -> list[int]:
        left, out, spacing = list(range(begin, end)), list[int](), end - begin
        while left:
            spacing = max(1, spacing // self.base)
            out += [i for i in left if (i - begin) % spacing == 0]
            left = [i for i in left if (i - begin) % spacing != 0]
        return out


LEFT_TO_RIGHT = LeftToRight()
BISECTION = Bisection()
DILATED = Dilated()
