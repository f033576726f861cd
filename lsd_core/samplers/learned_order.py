"""Learned order: unmask positions along the permutation that the step table holds."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.orders import LEARNED, Order


@dataclass(frozen=True)
class LearnedOrder(FixedCounts):
    """From n masked tokens to m, unmask the next n - m positions of the table's own order.

    Halton order keeps positions apart that lie near each other; which positions depend on each other the network says
    itself, and on proteins, tables or shuffled sequences distance does not. `path_kl` learns the order with the
    schedule (`distillation.order_search`). Along one fixed order the reverse certificate is the divergence itself.

    Cost: 1 network call. Order 1 in total variation in the largest share unmasked at once.
    """

    name: ClassVar[str] = "learned_order"
    order: ClassVar[Order] = LEARNED
