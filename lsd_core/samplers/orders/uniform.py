"""Uniform order: all orders of the positions alike."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.state import Draws


@dataclass(frozen=True)
class UniformOrder(Order):
    """One uniform a position; the smallest is unmasked first."""

    name: ClassVar[str] = "uniform"
    exchangeable: ClassVar[bool] = True

    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
        return draws.grid(0, Purpose.ORDER, length)


UNIFORM = UniformOrder()
