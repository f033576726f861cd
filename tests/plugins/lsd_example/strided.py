"""Strided order: every fourth position first, in random order within each comb."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.orders import Order
from lsd_core.samplers.state import Draws

STRIDE = 4


@dataclass(frozen=True)
class Strided(Order):
    """Combs of positions i = c, c + 4, c + 8, ...; which comb comes first is drawn for each trajectory."""

    name: ClassVar[str] = "strided"

    def keys(self, draws: Draws, length: int) -> Tensor:
        uniform = draws.grid(0, Purpose.ORDER, length)
        shift = (uniform[:, :1] * STRIDE).long()
        comb = (torch.arange(length, device=uniform.device) + shift) % STRIDE
        return (comb + uniform) / STRIDE
