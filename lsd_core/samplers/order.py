"""In which order a trajectory's positions are revealed by samplers that decide it beforehand.

An order is drawn once a trajectory and does not look at the tokens. So the chain rule holds along it, whatever
it is, and a step on a grid of counts reveals the next positions of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.state import Draws


@dataclass(frozen=True)
class Order:
    """A law over the orders of l positions, drawn from a trajectory's uniforms."""

    name: str
    keys: Callable[[Draws, int], Float[Tensor, "b l"]]
    """(draws, l) -> keys in [0, 1), all different; the smallest is revealed first."""
    exchangeable: bool
    """Whether every masked position is as likely to come next, whatever came before."""

    def rank(self, draws: Draws, length: int) -> Int[Tensor, "b l"]:
        """Rank of each position of each trajectory; 0 is revealed first."""
        return self.keys(draws, length).argsort(dim=1, stable=True).argsort(dim=1)


def uniform_keys(draws: Draws, length: int) -> Float[Tensor, "b l"]:
    """One uniform a position: all orders alike."""
    return draws.grid(0, Purpose.ORDER, length)


def halton_keys(draws: Draws, length: int) -> Float[Tensor, "b l"]:
    """The base-2 Halton (van der Corput) point of each position, under a random digital shift.

    A position's number, its bits read backwards, is XORed with one random number a trajectory. The first 2^k
    positions are then 2^(L - k) apart, L the bits of l - 1, each of these combs as likely; and every position
    is as likely to have any place. Where l is no power of two, the places beyond it are left out.
    """
    bits = max(1, (length - 1).bit_length())
    shift = (draws.grid(0, Purpose.ORDER, length)[:, :1] * 2**bits).long()
    return shifted_points(bits, shift, length)


def shifted_points(bits: int, shift: Int[Tensor, "b 1"], length: int) -> Float[Tensor, "b l"]:
    """Points of positions 0 .. l - 1 in [0, 1), multiples of 2^-bits, under given shifts below 2^bits."""
    position = torch.arange(length, device=shift.device)
    backwards = torch.zeros_like(position)
    for bit in range(bits):
        backwards |= (position >> bit & 1) << (bits - 1 - bit)
    return (backwards ^ shift).double() / 2**bits


UNIFORM = Order("uniform", uniform_keys, exchangeable=True)
HALTON = Order("halton", halton_keys, exchangeable=False)
