"""The order that a step table holds: a permutation which a method learned."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.errors import InputError
from lsd_core.samplers.orders.fixed import FixedOrder, Permutation


@dataclass(frozen=True)
class LearnedOrder(FixedOrder):
    """One permutation for all trajectories, which comes with the table."""

    name: ClassVar[str] = "learned"
    learned: ClassVar[bool] = True
    order: tuple[int, ...] = ()
    """The positions, first unmasked first; none before a table is known."""

    def of_table(self, order: tuple[int, ...] | None) -> "LearnedOrder":
        if order is None:
            remedy = "learn one: `lsd grid` with samplers: [learned_order], methods: [path_kl]"
            raise InputError("table.order", "hold the order of the positions", None, remedy)
        return LearnedOrder(order)

    def positions(self, length: int) -> list[int]:
        return Permutation(self.order).positions(length)


LEARNED = LearnedOrder()
