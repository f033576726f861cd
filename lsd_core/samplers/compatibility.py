"""What the released SEDD, JYS and LSD samplers do, under names of its own: raw rows, and a biased draw.

Never the default and in no grid: these modes exist to reproduce published figures and to show what they owe
to them. `euler_raw` and `tweedie_raw` draw exactly from unnormalised rows, `euler_released` and
`tweedie_released` also draw as the released code does.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.euler import Euler, Tweedie
from lsd_core.samplers.laws import ComputedLaw, RevealLaw, masked_rows
from lsd_core.samplers.state import Draws, State, call, times
from lsd_core.samplers.step import Step

RELEASED_EPS = 1e-6


@dataclass(frozen=True)
class Compatible:
    """An Euler or Tweedie step on rows as the network gives them, each with its own chance of a reveal.

    With row sums S_i of the concrete score, a masked token is revealed with chance r_i = min(1, phi c S_i),
    c = rate(t) (t - s) for Euler and exp(sigma_bar_t - sigma_bar_s) - 1 for Tweedie; a `log_score` gain is a
    power of the raw score and so changes S_i too. The last step reveals everything.

    Cost: 1 network call, and the head on all masked rows.
    """

    calls_per_step: ClassVar[int] = 1
    name: str
    base: Euler
    draw: Literal["exact", "released"] = "exact"

    def law(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of the tokens after the step, given the tokens x (b, l) and their features."""
        if step.counts is not None:
            raise InputError(f"table of {self.name}", "hold times", "counts", "raw rows say how many")
        rows = masked_rows(backbone, x)
        scale = backbone.process.score_scale(torch.tensor(step.t, dtype=torch.float64))
        log_score = head_rows(backbone, features[rows]).double() + scale.log()
        if step.gain_on == "log_score":
            log_score = step.gain * log_score
        gain = step.gain if step.gain_on == "score" else 1.0
        per_score = gain * self.base.chance(backbone, step) / float(scale)  # phi c
        chance = (per_score * log_score.exp().sum(-1)).clamp(max=1.0)
        if step.last:
            chance = torch.ones_like(chance)
        num_tokens = backbone.process.num_tokens
        tokens = ComputedLaw(lambda chosen: log_score[chosen].log_softmax(-1), num_tokens)
        return RevealLaw(x, rows, tokens, num_tokens, chance)

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        features, state = call(backbone, state, times(state, step.t))
        if not bool((state.x == backbone.process.mask).any()):
            return state
        law = self.law(backbone, state.x, features, step)
        exact = self.draw == "exact"
        x = law.draw(draws, step.index) if exact else released_reveal(law, draws, step.index)
        return state.moved(x, backbone)


def released_reveal(law: RevealLaw, draws: Draws, step: int) -> Int[Tensor, "b l"]:
    """The tokens after the step, drawn over V + 1 states at once by `draw_released`."""
    sample, position = law.rows
    assert law.chance is not None
    everyone = torch.arange(len(sample), device=law.x.device)
    tokens = law.chance[:, None] * law.tokens(everyone).exp()
    probs = torch.cat([tokens, 1 - law.chance[:, None]], dim=1)
    states = probs.shape[1]
    cell = position[:, None] * states + torch.arange(states, device=law.x.device)
    uniform = uniforms(draws.seed, draws.trajectory[sample][:, None], step, cell, Purpose.GUMBEL)
    return law.x.index_put((sample, position), draw_released(probs.float(), uniform.float()))


def draw_released(probs: Float[Tensor, "r v"], uniform: Float[Tensor, "r v"]) -> Int[Tensor, " r"]:
    """argmax_y p_y / (eps - log u_y) in float32 with eps = 1e-6: the Gumbel draw of the released samplers.

    Biased: the denominator, an exponential variable, never falls below eps, so a token of probability p wins
    only if no other does better than p / eps. About exp(-eps / p) of its probability is left; the rest goes to
    likelier states, MASK above all: of a Zipf law over 50257 tokens, revealed with chance 1/8, the mass beyond
    rank 5000 falls from 0.20 to 0.067 and the reveals to 0.84. float32 also rounds u to multiples of 2^-24.
    """
    clipped = uniform.float().clamp(min=2**-24, max=1.0)  # a uniform that rounds to 0 would have no logarithm
    return (probs.float() / (RELEASED_EPS - clipped.log())).argmax(dim=-1)


_EULER, _TWEEDIE = Euler(), Tweedie()
_RAW = (Compatible("euler_raw", _EULER), Compatible("tweedie_raw", _TWEEDIE))
_RELEASED = tuple(replace(mode, name=f"{mode.base.name}_released", draw="released") for mode in _RAW)
COMPATIBILITY: dict[str, Compatible] = {mode.name: mode for mode in (*_RAW, *_RELEASED)}
