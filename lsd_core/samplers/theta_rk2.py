"""The theta-RK-2 method on the absorbing process: two calls a step, first order on correlated tokens."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.halves import TwoCalls, cut
from lsd_core.samplers.laws import ComputedLaw, RevealLaw, masked_rows, reveal_law, token_law
from lsd_core.samplers.state import Draws, State, call, times
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class ThetaRK2(TwoCalls):
    """Probe the rates at rho = t - theta (t - s), then step from x with both (Ren et al. 2025).

    The probe x* is drawn as by theta-trapezoidal and thrown away; the step over [s, t] starts from x again
    and reveals a masked token with its exact chance by ((1 - w) p + w p*)_+, normalised, w = 1 / (2 theta). A
    token that the probe revealed has no rate at x*, and keeps p.

    Cost: 2 network calls. Order 1 in total variation on correlated tokens (0.99 as enumerated): the average
    over probes of the joint law of two tokens revealed in one step is not the chain's.
    """

    name: ClassVar[str] = "theta_rk2"

    def second(
        self, backbone: Backbone, x: Tensor, features: Tensor, x_mid: Tensor, features_mid: Tensor, step: Step
    ) -> RevealLaw:
        """Law of the tokens at s, given x at t, the probe x* and the features of both calls."""
        weight = 1 / (2 * self.theta)
        sample, position = masked_rows(backbone, x)
        hidden = x_mid[sample, position] == backbone.process.mask
        at_start, at_middle = (token_law(backbone, x, each, step) for each in (features, features_mid))

        def tokens(chosen: Tensor) -> Tensor:
            law = at_start(chosen).exp()
            still = hidden[chosen]
            if bool(still.any()):
                mixed = (1 - weight) * law[still] + weight * at_middle(chosen[still]).exp()
                mixed = mixed.clamp(min=0)
                law = law.masked_scatter(still[:, None], mixed / mixed.sum(-1, keepdim=True))
            return law.log()

        law = ComputedLaw(tokens, backbone.process.num_tokens)
        return reveal_law(backbone, x, law, step, Tweedie().gained_chance(backbone, step))

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """Two network calls, two draws; the probe's tokens have uniforms of their own."""
        early, late = cut(step, self.theta, backbone.length)
        features, state = call(backbone, state, times(state, early.t))
        x = state.x
        law = self.first(backbone, x, features, step)
        probe = law.draw(draws, early.index, Purpose.STAGE2_TOKEN, step.index)
        features_mid, state = call(backbone, state.moved(probe, backbone), times(state, late.t))
        law = self.second(backbone, x, features, probe, features_mid, step)
        return state.moved(law.draw(draws, late.index), backbone)
