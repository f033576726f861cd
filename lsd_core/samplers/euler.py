"""Euler steps of the reverse chain, and Tweedie tau-leaping, which on this process is the same law."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.laws import RevealLaw, reveal_law, token_law
from lsd_core.samplers.order import UNIFORM, Order
from lsd_core.samplers.state import Draws, State, call, times
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class Euler:
    """Freeze the rates over [s, t]: law = delta_x + (t - s) * reverse rate (LSD Eq. 4).

    On the absorbing process a masked token is revealed with chance rate(t) (t - s) alpha / (1 - alpha), for
    log-linear noise (t - s) / t, and then has its x0 law. On a grid of counts exactly n - m tokens are
    revealed: the same law conditioned on their number. A `score` gain multiplies the chance, capped at 1; a
    `log_score` gain is the power to which the x0 law is raised. The last step reveals whatever is left, so no
    denoising call is needed.

    Cost: 1 network call. Local error O((t - s)^2), order 1 in total variation.
    """

    name: ClassVar[str] = "euler"
    calls_per_step: ClassVar[int] = 1
    order: ClassVar[Order] = UNIFORM
    """In which order a grid of counts reveals the positions."""

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of the tokens after the step, given the tokens x (b, l) and their features."""
        tokens = token_law(backbone, x, features, step)
        return reveal_law(backbone, x, tokens, step, self.gained_chance(backbone, step), self.order)

    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        """Chance that a masked token is revealed, a `score` gain included; 1 on the last step."""
        if step.last:
            return 1.0
        gain = step.gain if step.gain_on == "score" else 1.0
        return min(1.0, gain * self.chance(backbone, step))

    def chance(self, backbone: Backbone, step: Step) -> float:
        """Chance that a masked token is revealed without gain: the Euler step of its total reverse rate."""
        t = torch.tensor(step.t, dtype=torch.float64)
        process = backbone.process
        return min(1.0, float(process.noise.rate(t) * (step.t - step.s) * process.score_scale(t)))

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        features, state = call(backbone, state, times(state, step.t))
        return state.moved(self.law(backbone, state.x, features, step).draw(draws, step.index), backbone)


@dataclass(frozen=True)
class Tweedie(Euler):
    """Tweedie tau-leaping (SEDD Theorem 4.1, `analytic`): staggered score times transposed transition.

    A masked token is revealed with chance (exp(sigma_bar_t - sigma_bar_s) - 1) alpha_t / (1 - alpha_t), the
    exact posterior chance; for log-linear noise (t - s) / t, row by row the law of `Euler`.

    Cost: 1 network call. Exact marginals per token; order 1 in total variation.
    """

    name: ClassVar[str] = "tweedie"

    def chance(self, backbone: Backbone, step: Step) -> float:
        t, s = (torch.tensor(value, dtype=torch.float64) for value in (step.t, step.s))
        process = backbone.process
        growth = torch.expm1(process.noise.sigma_bar(t) - process.noise.sigma_bar(s))
        return min(1.0, float(growth * process.score_scale(t)))
