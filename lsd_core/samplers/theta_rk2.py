"""The theta-RK-2 method: two calls a step, first order on correlated tokens."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.euler import exact_chance
from lsd_core.samplers.full_kernels import leap_kernel
from lsd_core.samplers.kernel import ONCE, Kernel, TokenUniforms
from lsd_core.samplers.masked import ComputedTokens, MaskedPrediction
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.step import Step
from lsd_core.samplers.two_calls import ThetaMethod


@dataclass(frozen=True)
class ThetaRK2(ThetaMethod):
    """Probe the rates at rho = t - theta (t - s), then step from x with ((1 - w) mu + w mu*)_+ (Ren et al. 2025).

    w = 1 / (2 theta). The probe x* is drawn as by theta-trapezoidal and thrown away; the step over [s, t] starts
    from x again. On a masked process it unmasks a token with its exact chance by ((1 - w) p + w p*)_+,
    normalised. A token that the probe moved keeps mu (or p): unmasked, it has no rate at x*.

    Cost: 2 network calls. Order 1 in total variation on correlated tokens (0.99 as enumerated): the average
    over probes of the joint distribution of two tokens moved in one step is not the chain's.
    """

    name: ClassVar[str] = "theta_rk2"

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> Kernel:
        if isinstance(seen, MaskedPrediction):
            assert isinstance(seen_mid, MaskedPrediction)
            return seen.unmask(step, exact_chance(seen.backbone, step), self._tokens(seen, seen_mid))
        assert not isinstance(seen_mid, MaskedPrediction)
        early, x = seen.rates(), seen.x
        still = (x == seen_mid.x)[..., None]
        mixed = torch.where(still, self._mixed(early, seen_mid.rates()), early)
        rates = mixed.clamp(min=0).scatter(-1, x[..., None], 0.0)
        return leap_kernel(seen.process, rates, x, step.t - step.s, self.reject)

    def _tokens(self, seen: MaskedPrediction, seen_mid: MaskedPrediction) -> ComputedTokens:
        still_masked = seen_mid.x[seen.rows] == seen.backbone.process.mask
        at_start, at_middle = seen.tokens, seen_mid.at(seen.x).tokens

        def log_probs(chosen: Tensor) -> Tensor:
            probs = at_start(chosen).exp()
            still = still_masked[chosen]
            if bool(still.any()):
                mixed = self._mixed(probs[still], at_middle(chosen[still]).exp()).clamp(min=0)
                probs = probs.masked_scatter(still[:, None], mixed / mixed.sum(-1, keepdim=True))
            return probs.log()

        return ComputedTokens(log_probs, seen.backbone.process.num_tokens)

    def _mixed(self, early: Tensor, late: Tensor) -> Tensor:
        """(1 - w) early + w late"""
        weight = 1 / (2 * self.theta)
        return (1 - weight) * early + weight * late

    def uniforms(self, stage: int, step: Step) -> TokenUniforms:
        """The probe's tokens have uniforms of their own."""
        return ONCE if stage else (Purpose.STAGE2_TOKEN, step.index)
