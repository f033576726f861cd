"""Block-wise order: blocks left to right, another order inside each."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.orders.uniform import UNIFORM
from lsd_core.samplers.state import Draws


@dataclass(frozen=True)
class Blocks(Order):
    """Blocks left to right, another order inside each (semi-autoregressive: LLaDA, SDAR)."""

    name: ClassVar[str] = "blocks"
    inside: Order = UNIFORM
    """Order of the positions of a block."""
    block: int = 32
    """Positions of a block."""

    def __post_init__(self) -> None:
        if self.block < 1:
            raise InputError("block", "be an integer >= 1", self.block)

    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
        number = torch.arange(length, device=draws.trajectory.device) // self.block
        return (number + self.inside.keys(draws, length)) / (number[-1] + 1)


BLOCKS = Blocks()
