"""Tau-leaping on the absorbing process, with or without a corrector."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.laws import RevealLaw, reveal_law, token_law
from lsd_core.samplers.state import Draws, State, call, times
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class TauLeaping:
    """Poisson numbers of jumps at rates frozen over [s, t] (tauLDR, Campbell et al. 2022, Sec. 4.3).

    A masked token jumps with total rate rate(t) alpha / (1 - alpha), the last jump wins, so it stays masked
    with chance exp(-(t - s) rate) and otherwise has its x0 law. A step to s = 0 would leave exp(-1) of the
    masks: the last step of a table is the final denoise, which reveals them all. Grids of counts have no
    Poisson numbers.

    Cost: 1 network call. Order 1 in total variation.
    """

    name: ClassVar[str] = "tau_leaping"
    calls_per_step: ClassVar[int] = 1

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of the tokens after the step, given the tokens x (b, l) and their features."""
        check_times(self.name, step)
        gain = step.gain if step.gain_on == "score" else 1.0
        jumps = gain * (step.t - step.s) * total_rate(backbone, step.t)
        chance = 1.0 if step.last else -math.expm1(-jumps)
        return reveal_law(backbone, x, token_law(backbone, x, features, step), step, chance)

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        features, state = call(backbone, state, times(state, step.t))
        return state.moved(self.law(backbone, state.x, features, step).draw(draws, step.index), backbone)


@dataclass(frozen=True)
class CorrectorLaw:
    """Law of one corrector leap: masked tokens are revealed as by `reveal`, revealed ones masked again."""

    reveal: RevealLaw
    remask_chance: float

    def dense(self) -> Float[Tensor, "b l s"]:
        """Law of each token after the leap, float64; positions are independent."""
        law = self.reveal.dense()
        kept = self.reveal.x != self.reveal.num_tokens
        law[kept] *= 1 - self.remask_chance
        law[..., -1][kept] = self.remask_chance
        return law

    def remasked(self, draws: Draws, index: int) -> Bool[Tensor, "b l"]:
        """Which revealed tokens are masked again."""
        revealed = self.reveal.x != self.reveal.num_tokens
        uniform = draws.grid(index, Purpose.MASK, self.reveal.x.shape[1])
        return revealed & (uniform < self.remask_chance)

    def draw(self, draws: Draws, index: int) -> Int[Tensor, "b l"]:
        """The tokens after the leap."""
        x = self.reveal.draw(draws, index, token_call=index)
        return torch.where(self.remasked(draws, index), self.reveal.num_tokens, x)


@dataclass(frozen=True)
class TauLeapingCorrected:
    """Tau-leaping, then a corrector leap at s with rates forward + reverse (tauLDR, Sec. 4.4).

    The corrector starts from the predictor's state and leaves the law at s alone to first order: a masked
    token is revealed at rate(s) alpha / (1 - alpha), a revealed one masked at rate(s), for `share` (t - s).
    There is none after the last step, which leaves nothing masked.

    Cost: 2 network calls, 1 in the last step. Order 1 in total variation where the network's laws are those
    of some data; otherwise the corrector's own stationary law differs from the reverse chain's, and finer
    grids, which correct more often per unit of time near 0, do not come closer to it.
    """

    name: ClassVar[str] = "tau_leaping_corrected"
    calls_per_step: ClassVar[int] = 2
    share: float = 0.5
    """Length of the corrector's leap, as a share of the step."""

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise InputError("share", "be positive", self.share)

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """The predictor's law, that of `TauLeaping`."""
        return TauLeaping().law(backbone, x, features, step)

    def correction(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> CorrectorLaw:
        """The corrector's law, given the tokens x at s and their features there."""
        leap = self.share * (step.t - step.s)
        gain = step.gain if step.gain_on == "score" else 1.0
        chance = -math.expm1(-gain * leap * total_rate(backbone, step.s))
        noise = backbone.process.noise
        forward = float(noise.rate(torch.tensor(step.s, dtype=torch.float64)))
        reveal = reveal_law(backbone, x, token_law(backbone, x, features, step), step, chance)
        return CorrectorLaw(reveal, -math.expm1(-leap * forward))

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """Predict, then correct what was predicted; a token may be drawn more than once."""
        early, late = 2 * step.index, 2 * step.index + 1
        features, state = call(backbone, state, times(state, step.t))
        law = self.law(backbone, state.x, features, step)
        state = state.moved(law.draw(draws, early, token_call=early), backbone)
        if step.last:
            return state
        features, state = call(backbone, state, times(state, step.s))
        return state.moved(self.correction(backbone, state.x, features, step).draw(draws, late), backbone)


def total_rate(backbone: Backbone, t: float) -> float:
    """Rate at which a masked token is revealed at time t, 1/t for log-linear noise."""
    time = torch.tensor(t, dtype=torch.float64)
    return float(backbone.process.noise.rate(time) * backbone.process.score_scale(time))


def check_times(name: str, step: Step) -> None:
    if step.counts is not None:
        raise InputError(f"table of {name}", "hold times", "counts", "use fixed_counts, which reveals counts")
