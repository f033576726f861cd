"""Orders in which a trajectory's positions are unmasked, decided before any token is drawn.

An order is drawn once a trajectory and does not look at the tokens. So the chain rule holds along it, whatever
it is, and a step on a grid of counts unmasks the next positions of it.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.ranks import ranks
from lsd_core.samplers.state import Draws


class Order(ABC):
    """A distribution over the orders of l positions, drawn from a trajectory's uniforms."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    exchangeable: ClassVar[bool] = False
    """Whether every masked position is as likely to come next, whatever came before."""
    adaptive: ClassVar[bool] = False
    """Whether it looks at the tokens."""
    learned: ClassVar[bool] = False
    """Whether a step table holds it: one permutation, which a method chose."""

    def of_table(self, order: tuple[int, ...] | None) -> "Order":
        """The order in which the steps of a table unmask; InputError where it holds one that this is not."""
        if order is not None:
            remedy = "sample with learned_order"
            raise InputError("table.order", f"be left out for {self.name} order", list(order), remedy)
        return self

    @abstractmethod
    def keys(self, draws: Draws, length: int) -> Float[Tensor, "b l"]:
        """Keys in [0, 1), all different; the smallest is unmasked first."""

    def rank(self, draws: Draws, length: int) -> Int[Tensor, "b l"]:
        """Rank of each position of each trajectory; 0 is unmasked first."""
        return ranks(self.keys(draws, length), 1)
