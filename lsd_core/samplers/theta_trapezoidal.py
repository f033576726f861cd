"""The theta-trapezoidal method: two calls a step, second order on mild chains."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lsd_core.samplers.euler import exact_chance
from lsd_core.samplers.full_kernels import leap_kernel
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.masked import ComputedTokens, MaskedPrediction
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.step import Step
from lsd_core.samplers.two_calls import ThetaMethod, cut


@dataclass(frozen=True)
class ThetaTrapezoidal(ThetaMethod):
    """Leap to rho = t - theta (t - s), then from x* at rho with (a1 mu* - a2 mu)_+ (Ren et al. 2025).

    a1 = 1 / (2 theta (1 - theta)), a2 = a1 - 1. Rates mu at (x, t) and mu* at (x*, rho) are indexed by target
    state, 0 at the current one. On a masked process a token is unmasked with chance (t - rho) / t by its x0
    distribution p at (x, t), those still masked at (x*, rho) with chance (rho - s) / rho by (a1 p* - a2 p)_+,
    normalised; unmasked tokens stay, the last step leaves nothing masked, and no rate 1/t is integrated. On a
    grid of counts the share theta of a step's tokens comes first.

    Cost: 2 network calls. Order in total variation, as enumerated. Masked: 2.00 while p* / p stays above a2 / a1
    after one token (theta = 1/2: above 1/2); on a strongly correlated chain (least ratio 0.06) the positive part
    cuts, and it is 1.00. Uniform: 2.02 on a mild chain where the last jump wins, 0.99 where two jumps are
    rejected, 0.84 on a strongly correlated one. Gaussian, where moves add: 1.02.
    """

    name: ClassVar[str] = "theta_trapezoidal"

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> Kernel:
        if isinstance(seen, MaskedPrediction):
            assert isinstance(seen_mid, MaskedPrediction)
            at_start, at_middle = seen.at(seen_mid.x).tokens, seen_mid.tokens

            def log_probs(chosen: Tensor) -> Tensor:
                mixed = self._corrected(at_start(chosen).exp(), at_middle(chosen).exp())
                return (mixed / mixed.sum(-1, keepdim=True)).log()

            tokens = ComputedTokens(log_probs, seen.backbone.process.num_tokens)
            late = cut(step, self.theta, seen.backbone.length)[1]
            return seen_mid.unmask(late, exact_chance(seen.backbone, late), tokens)
        assert not isinstance(seen_mid, MaskedPrediction)
        x_mid = seen_mid.x
        rates = self._corrected(seen.rates(), seen_mid.rates()).scatter(-1, x_mid[..., None], 0.0)
        return leap_kernel(seen.process, rates, x_mid, (1 - self.theta) * (step.t - step.s), self.reject)

    def _corrected(self, early: Tensor, late: Tensor) -> Tensor:
        """(a1 late - a2 early)_+"""
        upper = 1 / (2 * self.theta * (1 - self.theta))
        return (upper * late - (upper - 1) * early).clamp(min=0)
