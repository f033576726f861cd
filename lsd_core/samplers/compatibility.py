"""Compatibility modes of the released SEDD, JYS and LSD samplers: raw rows, and a biased draw.

Never the default and in no grid: these modes exist to reproduce published figures and to show what they owe
to them. `euler_raw` and `tweedie_raw` draw exactly from unnormalised rows, `euler_released` and
`tweedie_released` also draw as the released code does.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.euler import Euler, Tweedie
from lsd_core.samplers.masked import ComputedTokens, MaskedKernel, MaskedPrediction
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import Abilities, check_grid
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid

RELEASED_EPS = 1e-6


@dataclass(frozen=True)
class Compatible(Abilities):
    """An Euler or Tweedie step on rows as the network gives them, each with its own chance to be unmasked.

    With row sums S_i of the concrete score, a masked token is unmasked with chance r_i = min(1, phi c S_i),
    c = rate(t) (t - s) for Euler and exp(sigma_bar_t - sigma_bar_s) - 1 for Tweedie; a `log_score` gain is a
    power of the raw score and so changes S_i too. The last step unmasks everything.

    Cost: 1 network call, and the head on all masked rows.
    """

    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})
    name: str
    base: Euler | Tweedie
    how: Literal["exact", "released"] = "exact"

    def kernel(self, seen: MaskedPrediction, step: Step) -> MaskedKernel:
        """The tokens after the step; a gain of the prediction is not used."""
        check_grid(self, step.grid)
        backbone, num_tokens = seen.backbone, seen.backbone.process.num_tokens
        scale = backbone.process.score_scale(torch.tensor(step.t, dtype=torch.float64))
        log_score = head_rows(backbone, seen.features[seen.rows]).double() + scale.log()
        if step.gain_on == "log_score":
            log_score = step.gain * log_score
        gain = step.gain if step.gain_on == "score" else 1.0
        per_score = gain * self.base.chance(backbone, step) / float(scale)  # phi c
        chance = (per_score * log_score.exp().sum(-1)).clamp(max=1.0)
        if step.last:
            chance = torch.ones_like(chance)
        tokens = ComputedTokens(lambda chosen: log_score[chosen].log_softmax(-1), num_tokens)
        return MaskedKernel(seen.x, seen.rows, tokens, num_tokens, chance)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        seen, state = look(backbone, state, step.t, step)
        assert isinstance(seen, MaskedPrediction)
        if len(seen.rows[0]) == 0:
            return state
        kernel = self.kernel(seen, step)
        draw = kernel.draw if self.how == "exact" else partial(released_draw, kernel)
        return state.moved(draw(draws, step.index), backbone)


def released_draw(kernel: MaskedKernel, draws: Draws, step: int) -> Int[Tensor, "b l"]:
    """The tokens after the step, drawn over V + 1 states at once by `draw_released`."""
    sample, position = kernel.rows
    assert kernel.chance is not None
    everyone = torch.arange(len(sample), device=kernel.x.device)
    tokens = kernel.chance[:, None] * kernel.tokens(everyone).exp()
    probs = torch.cat([tokens, 1 - kernel.chance[:, None]], dim=1)
    states = probs.shape[1]
    cell = position[:, None] * states + torch.arange(states, device=kernel.x.device)
    uniform = uniforms(draws.seed, draws.trajectory[sample][:, None], step, cell, Purpose.GUMBEL)
    return kernel.x.index_put((sample, position), draw_released(probs.float(), uniform.float()))


def draw_released(probs: Float[Tensor, "r v"], uniform: Float[Tensor, "r v"]) -> Int[Tensor, " r"]:
    """argmax_y p_y / (eps - log u_y) in float32 with eps = 1e-6: the Gumbel draw of the released samplers.

    Biased: the denominator, an exponential variable, never falls below eps, so a token of probability p wins
    only if no other does better than p / eps. About exp(-eps / p) of its probability is left; the rest goes to
    likelier states, MASK above all: of a Zipf distribution over 50257 tokens, unmasked with chance 1/8, the mass beyond
    rank 5000 falls from 0.20 to 0.067 and the unmasked tokens to 0.84. float32 also rounds u to multiples of 2^-24.
    """
    clipped = uniform.float().clamp(min=2**-24, max=1.0)  # a uniform that rounds to 0 would have no logarithm
    return (probs.float() / (RELEASED_EPS - clipped.log())).argmax(dim=-1)


_EULER, _TWEEDIE = Euler(), Tweedie()
_RAW = (Compatible("euler_raw", _EULER), Compatible("tweedie_raw", _TWEEDIE))
_RELEASED = tuple(replace(mode, name=f"{mode.base.name}_released", how="released") for mode in _RAW)
COMPATIBILITY: dict[str, Compatible] = {mode.name: mode for mode in (*_RAW, *_RELEASED)}
