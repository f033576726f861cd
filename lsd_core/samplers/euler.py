"""Euler steps of the reverse chain, and Tweedie tau-leaping, which on this process is the same law."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.laws import RevealLaw
from lsd_core.samplers.state import Draws, State, call
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

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of the tokens after the step, given the tokens x (b, l) and their features."""
        rows = (x == backbone.process.mask).nonzero(as_tuple=True)
        power = step.gain if step.gain_on == "log_score" else 1.0

        def tokens(chosen: Tensor) -> Tensor:
            log_weight = backbone.head(features[rows[0][chosen], rows[1][chosen]]).double()
            return (power * log_weight).log_softmax(-1)

        num_tokens = backbone.process.num_tokens
        if step.counts is not None:
            n, m = step.counts
            quota = torch.full((len(x),), n - m, device=x.device)
            return RevealLaw(x, rows, tokens, num_tokens, quota=quota)
        chance = 1.0 if step.last else self.chance(backbone, step)
        if step.gain_on == "score" and not step.last:
            chance = min(1.0, step.gain * chance)
        chances = torch.full((len(rows[0]),), chance, dtype=torch.float64, device=x.device)
        return RevealLaw(x, rows, tokens, num_tokens, chance=chances)

    def chance(self, backbone: Backbone, step: Step) -> float:
        """Chance that a masked token is revealed: the Euler step of its total reverse rate."""
        t = torch.tensor(step.t, dtype=torch.float64)
        process = backbone.process
        return min(1.0, float(process.noise.rate(t) * (step.t - step.s) * process.score_scale(t)))

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        t = torch.full((len(state.x),), step.t, dtype=torch.float64, device=state.x.device)
        features, state = call(backbone, state, t)
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
