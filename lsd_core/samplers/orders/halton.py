"""Halton order on a line: positions that lie far apart are unmasked together."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.state import Draws


@dataclass(frozen=True)
class HaltonOrder(Order):
    """The base-2 Halton (van der Corput) point of each position, under a random digital shift.

    A position's number, its bits read backwards, is XORed with one random number a trajectory. The first 2^k
    positions are then 2^(L - k) apart, L the bits of l - 1, each of these combs as likely; and every position
    is as likely to have any place. Where l is no power of two, the places beyond it are left out.
    """

    name: ClassVar[str] = "halton"

    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
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


def halton_positions(length: int, shift: int = 0) -> tuple[int, ...]:
    """The positions under one shift, first unmasked first."""
    bits = max(1, (length - 1).bit_length())
    return tuple(shifted_points(bits, torch.tensor([[shift]]), length)[0].argsort().tolist())


HALTON = HaltonOrder()
