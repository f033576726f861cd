"""Euler and Tweedie steps: one network call, and on masked processes a chance to unmask that the step decides."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.full_kernels import euler_kernel
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import Unmasking
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.protocol import ALL, Kind
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class Euler(Unmasking):
    """Euler step of the reverse chain: freeze the rates over [s, t] (LSD Eq. 4), delta_x + (t - s) rates.

    On the absorbing process a masked token is unmasked with chance rate(t) (t - s) alpha / (1 - alpha), for
    log-linear noise (t - s) / t, and then has its x0 distribution. On a grid of counts exactly n - m tokens are
    unmasked: the same kernel conditioned on their number. A `score` gain multiplies the chance, capped at 1; a
    `log_score` gain is the power to which the x0 distribution is raised. The last step unmasks whatever is left,
    so no denoising call is needed.

    Cost: 1 network call. Local error O((t - s)^2), order 1 in total variation.
    """

    name: ClassVar[str] = "euler"
    processes: ClassVar[frozenset[Kind]] = ALL
    factorised: ClassVar[bool] = True
    teacher: ClassVar[frozenset[Kind]] = ALL

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        if isinstance(seen, MaskedPrediction):
            return seen.unmask(step, self.gained_chance(seen.backbone, step))
        return euler_kernel(seen.rates(), seen.x, step.t - step.s)

    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        return gained(self.chance(backbone, step), step)

    def chance(self, backbone: Backbone, step: Step) -> float:
        """Chance that a masked token is unmasked without gain: the Euler step of its total reverse rate."""
        t = torch.tensor(step.t, dtype=torch.float64)
        process = backbone.process
        return min(1.0, float(process.noise.rate(t) * (step.t - step.s) * process.score_scale(t)))


@dataclass(frozen=True)
class Tweedie(Unmasking):
    """Tweedie tau-leaping (SEDD Theorem 4.1, `analytic`): staggered score times transposed transition.

    A masked token is unmasked with chance (exp(sigma_bar_t - sigma_bar_s) - 1) alpha_t / (1 - alpha_t), the
    exact posterior chance; for log-linear noise (t - s) / t, row by row the kernel of `Euler`.

    Cost: 1 network call. Exact marginals per token for an exact network; order 1 in total variation.
    """

    name: ClassVar[str] = "tweedie"
    processes: ClassVar[frozenset[Kind]] = ALL
    factorised: ClassVar[bool] = True
    teacher: ClassVar[frozenset[Kind]] = ALL

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        if isinstance(seen, MaskedPrediction):
            return seen.unmask(step, self.gained_chance(seen.backbone, step))
        return seen.tweedie(step.s)

    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        return gained(self.chance(backbone, step), step)

    def chance(self, backbone: Backbone, step: Step) -> float:
        """The exact chance that a masked token is unmasked, without gain."""
        t, s = (torch.tensor(value, dtype=torch.float64) for value in (step.t, step.s))
        process = backbone.process
        growth = torch.expm1(process.noise.sigma_bar(t) - process.noise.sigma_bar(s))
        return min(1.0, float(growth * process.score_scale(t)))


def gained(chance: float, step: Step) -> float:
    """A chance under the step's gain, if that is on the score; 1 on the last step."""
    if step.last:
        return 1.0
    return min(1.0, (step.gain if step.gain_on == "score" else 1.0) * chance)


def exact_chance(backbone: Backbone, step: Step) -> float:
    """Chance that a masked token is unmasked by the exact chain, under the step's gain."""
    return Tweedie().gained_chance(backbone, step)
