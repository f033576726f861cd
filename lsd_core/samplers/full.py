"""Predictions of full-state processes: scores, or the clean tokens' distributions, at a batch of states."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import finite
from lsd_core.backbones.scores import ScoreBackbone, X0Backbone, scores_of_x0
from lsd_core.processes import Process
from lsd_core.samplers.full_kernels import (
    FullKernel,
    bridge_probs,
    checked,
    gained,
    reverse_rates,
    tweedie_kernel,
)
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import GainOn

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class FullPrediction:
    """Concrete scores at (x, t), or the clean token's distribution from which they follow; one of the two is given.

    A network that predicts the clean token (tauLDR, Duo) keeps its distribution: Tweedie steps then mix exact
    bridges to it and are never negative, where staggered scores are ill-conditioned on the gaussian process.
    """

    draws_a_step: ClassVar[int] = 2
    """How far the numbers of a step's draws go on; tokens at rest depend on them."""

    process: Process
    x: Int[Tensor, "b l"]
    t: float
    given_score: Float[Tensor, "b l s"] | None = None
    given_x0: Float[Tensor, "b l s"] | None = None

    @cached_property
    def sigma_bar(self) -> float:
        return self._sigma_bar_at(self.t)

    @cached_property
    def score(self) -> Float[Tensor, "b l s"]:
        """p_t(x with token i set to y) / p_t(x), float64, 1 at y = x_i."""
        if self.given_score is not None:
            return self.given_score
        assert self.given_x0 is not None
        return scores_of_x0(self.process, self.x, self.given_x0, self.sigma_bar)

    @cached_property
    def x0(self) -> Float[Tensor, "b l s"]:
        """p(x0_i = z | x_t); from scores by Tweedie's formula, clamped where they contradict each other."""
        if self.given_x0 is not None:
            return self.given_x0
        return tweedie_kernel(self.process, self.x, self.score, self.sigma_bar).probs

    def rates(self) -> Float[Tensor, "b l s"]:
        """Reverse rates from x_i to every other y, 0 at y = x_i."""
        times = torch.full((len(self.x),), self.t, dtype=torch.float64, device=self.x.device)
        return reverse_rates(self.process, self.x, self.score, times)

    def tweedie(self, s: float) -> FullKernel:
        """Distribution of each token at s given the whole state at t (SEDD Theorem 4.1); s = 0 is clean data."""
        growth = growth_between(self.process, self.t, s)
        if self.given_x0 is None:
            return tweedie_kernel(self.process, self.x, self.score, growth)
        return checked(bridge_probs(self.process, self.x, self.given_x0, self.sigma_bar, growth))

    def bridge_rates(self, here: Int[Tensor, "b l"], u: float) -> Float[Tensor, "b l s"]:
        """Rates at time u <= t of a token that is at here_i, all it knows of the others being x at t.

        They carry each token on its own along the exact bridges to its x0 distribution: a Tweedie step as a jump
        process.
        """
        onto = self.process.stagger(self._weights, -self._sigma_bar_at(u)).clamp(min=0)
        score = onto / onto.gather(-1, here[..., None])
        times = torch.full((len(here),), u, dtype=torch.float64, device=here.device)
        return reverse_rates(self.process, here, score, times)

    def bridge_x0(self, here: Int[Tensor, "b l"], u: float) -> Float[Tensor, "b l s"]:
        """Distribution of the clean token given x at t and the token's own place here_i at u <= t."""
        probs = self._weights * self.process.transition_into(here, self._sigma_bar_at(u))
        return probs / probs.sum(-1, keepdim=True)

    @cached_property
    def _weights(self) -> Float[Tensor, "b l s"]:
        """p(x0_i = z | x_t) / p(x_t,i | x0_i = z)."""
        return self.x0 / self.process.transition_into(self.x, self.sigma_bar).clamp(min=TINY)

    def _sigma_bar_at(self, u: float) -> float:
        return float(self.process.noise.sigma_bar(torch.tensor(u, dtype=torch.float64)))

    def gained(self, gain: float, gain_on: GainOn) -> "FullPrediction":
        """The prediction under a gain.

        On the `log_score` the distribution of the clean token is raised to that power where the network predicts one;
        scores are sharpened at equal total rate. On the `score` all jumps scale.
        """
        if gain == 1:
            return self
        if gain_on == "log_score":
            return self.sharpened(gain)
        changed = gained(self.score, self.process, self.x, gain, gain_on)
        return FullPrediction(self.process, self.x, self.t, given_score=changed)

    def sharpened(self, gain: float | Tensor) -> "FullPrediction":
        """The prediction under a gain on the log-score, differentiable in it."""
        if self.given_x0 is not None:
            sharp = (gain * self.given_x0.log()).softmax(-1)
            return FullPrediction(self.process, self.x, self.t, given_x0=sharp)
        changed = gained(self.score, self.process, self.x, gain, "log_score")
        return FullPrediction(self.process, self.x, self.t, given_score=changed)

    def kernel_at_end(self, step: Step) -> FullKernel | None:
        """Last step of a table, whatever the method: the final denoise, which removes all of sigma_bar(t)."""
        return self.tweedie(0.0) if step.last else None

    def __getitem__(self, rows: slice | Tensor) -> "FullPrediction":
        """The prediction for some of the states."""
        score, x0 = (None if part is None else part[rows] for part in (self.given_score, self.given_x0))
        return FullPrediction(self.process, self.x[rows], self.t, score, x0)


def predict(
    backbone: ScoreBackbone, x: Int[Tensor, "b l"], t: float, step: Step | None = None
) -> FullPrediction:
    """What the network says at (x, t), under the step's gain. One network call."""
    times = torch.full((len(x),), t, dtype=torch.float64, device=x.device)
    if isinstance(backbone, X0Backbone):
        x0 = finite(backbone, backbone.x0_probs(x, times)).double()
        plain = FullPrediction(backbone.process, x, t, given_x0=x0)
    else:
        score = finite(backbone, backbone.score(x, times)).double()
        plain = FullPrediction(backbone.process, x, t, given_score=score)
    return plain if step is None else plain.gained(step.gain, step.gain_on)


def growth_between(process: Process, t: float, s: float) -> float:
    """sigma_bar(t) - sigma_bar(s); down to data, s = 0, all of sigma_bar(t), its residue at 0 included."""
    at_t, at_s = (float(process.noise.sigma_bar(torch.tensor(u, dtype=torch.float64))) for u in (t, s))
    return at_t - (at_s if s > 0 else 0.0)
