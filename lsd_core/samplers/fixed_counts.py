"""Fixed counts: reveal a given number of tokens a step instead of a random one."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.laws import RevealLaw
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class FixedCounts(Euler):
    """From n masked tokens to m, reveal exactly n - m random positions (JYS, Park et al. 2024, k-Gillespie).

    The law of `Euler` on a grid of counts. The number of reveals no longer fluctuates, which removes a part
    of the factorisation error that Bernoulli reveals pay.

    Cost: 1 network call; order 1 in total variation in the largest share revealed at once.
    """

    name: ClassVar[str] = "fixed_counts"

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of the tokens after the step; raises InputError on a grid of times, which says no counts."""
        if step.counts is None:
            raise InputError("table", f"be a grid of counts for {self.name}", "times", "euler steps in times")
        return super().law(backbone, x, features, step)
