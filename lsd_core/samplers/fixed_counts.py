"""Fixed counts: reveal a given number of tokens a step instead of a random one."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.samplers.euler import Euler


@dataclass(frozen=True)
class FixedCounts(Euler):
    """From n masked tokens to m, reveal exactly n - m random positions (JYS, Park et al. 2024, k-Gillespie).

    The law of `Euler` on a grid of counts. The number of reveals no longer fluctuates, which removes a part
    of the factorisation error that Bernoulli reveals pay.

    Cost: 1 network call; order 1 in total variation in the largest share revealed at once.
    """

    name: ClassVar[str] = "fixed_counts"
