"""The theta-trapezoidal method on the absorbing process: two calls a step, second order on mild chains."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.halves import TwoCalls, cut
from lsd_core.samplers.laws import ComputedLaw, RevealLaw, reveal_law, token_law
from lsd_core.samplers.state import Draws, State, call, times
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class ThetaTrapezoidal(TwoCalls):
    """Leap to rho = t - theta (t - s), then correct the rates (Ren et al. 2025, theta-trapezoidal).

    A masked token is revealed with chance (t - rho) / t by its law p at (x, t); those still masked at (x*,
    rho) with chance (rho - s) / rho by (a1 p* - a2 p)_+, normalised, where p* is the law at (x*, rho), a1 = 1
    / (2 theta (1 - theta)) and a2 = a1 - 1. Revealed tokens stay, the last step leaves nothing masked, and no
    rate 1/t is integrated. On a grid of counts the share theta of a step's reveals comes first.

    Cost: 2 network calls. Order in total variation, measured by enumeration: 2.00 while p* / p stays above
    a2 / a1 after one reveal (theta = 1/2: above 1/2); on a strongly correlated chain (least ratio 0.06) the
    positive part cuts, and it is 1.00.
    """

    name: ClassVar[str] = "theta_trapezoidal"

    def second(
        self, backbone: Backbone, x: Tensor, features: Tensor, x_mid: Tensor, features_mid: Tensor, step: Step
    ) -> RevealLaw:
        """Law of the tokens at s, given x* at rho and the features of both calls; x itself is not needed."""
        later = cut(step, self.theta, backbone.length)[1]
        upper = 1 / (2 * self.theta * (1 - self.theta))
        at_start, at_middle = (token_law(backbone, x_mid, each, step) for each in (features, features_mid))

        def tokens(chosen: Tensor) -> Tensor:
            law = upper * at_middle(chosen).exp() - (upper - 1) * at_start(chosen).exp()
            law = law.clamp(min=0)
            return (law / law.sum(-1, keepdim=True)).log()

        mixed = ComputedLaw(tokens, backbone.process.num_tokens)
        return reveal_law(backbone, x_mid, mixed, later, Tweedie().gained_chance(backbone, later))

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """Two network calls, two draws."""
        early, late = cut(step, self.theta, backbone.length)
        features, state = call(backbone, state, times(state, early.t))
        x = state.x
        state = state.moved(self.first(backbone, x, features, step).draw(draws, early.index), backbone)
        features_mid, state = call(backbone, state, times(state, late.t))
        law = self.second(backbone, x, features, state.x, features_mid, step)
        return state.moved(law.draw(draws, late.index), backbone)
