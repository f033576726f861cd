"""Fixed counts: unmask a given number of tokens a step instead of a random one."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.protocol import check_grid
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid


@dataclass(frozen=True)
class FixedCounts(OneCall):
    """From n masked tokens to m, unmask exactly n - m random positions (JYS, Park et al. 2024, k-Gillespie).

    The kernel of `Euler` on a grid of counts. The number of tokens no longer fluctuates, which removes a part
    of the factorisation error that Bernoulli draws have.

    Cost: 1 network call; order 1 in total variation in the largest share unmasked at once.
    """

    name: ClassVar[str] = "fixed_counts"
    grids: ClassVar[frozenset[Grid]] = frozenset({"counts"})
    factorised: ClassVar[bool] = True

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        """Raises InputError on a grid of times, which gives no counts."""
        check_grid(self, step.grid)
        assert isinstance(seen, MaskedPrediction)
        return seen.unmask(step, 1.0, order=self.order.of_table(step.order))
