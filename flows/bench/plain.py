"""Reference implementations of steps, which benchmarks and tests compare the samplers with."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone, log_weights
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Absorbing
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.one_call import Unmasking
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step


def plain_step(
    backbone: Backbone, method: Unmasking, x: Int[Tensor, "b l"], step: Step, draws: Draws
) -> Int[Tensor, "b l"]:
    """A step on a grid of times as its formula says: a distribution and a draw for every position, then a choice."""
    b, length = x.shape
    power = step.gain if step.gain_on == "log_score" else 1.0
    t = torch.full((b,), step.t, dtype=torch.float64, device=x.device)
    probs = (power * log_weights(backbone, x, t).double()).log_softmax(-1).exp()
    uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.TOKEN)
    token = draw_categorical(probs.flatten(0, 1), uniform.flatten()).view(b, length)
    reveals = uniform_grid(draws.seed, draws.trajectory, step.index, length, Purpose.REVEAL)
    revealed = (x == backbone.process.mask) & (reveals < method.gained_chance(backbone, step))
    return torch.where(revealed, token, x)


def dense_probs(
    score: Float[Tensor, "b l v"],
    x: Int[Tensor, "b l"],
    process: Absorbing,
    t: float,
    s: float,
    kind: Literal["euler", "tweedie"],
) -> Float[Tensor, "b l s"]:
    """The kernel of a step, mask included, from the concrete score of every token at every position.

    Euler: delta_x + (t - s) rate; Tweedie: the staggered score times the transposed transition.
    """
    late, early = (torch.tensor(value, dtype=torch.float64) for value in (t, s))
    masked = (x == process.mask)[..., None]
    here = F.one_hot(x, process.num_states).to(score.dtype)
    score = F.pad(score, (0, 1))
    if kind == "euler":
        rate = torch.where(masked, score, 0.0) * float(process.noise.rate(late))
        return here + (t - s) * (rate - here * rate.sum(-1, keepdim=True))
    growth = float(process.noise.sigma_bar(late) - process.noise.sigma_bar(early))
    score = torch.where(masked, score, 0.0).scatter(-1, x[..., None], 1.0)
    stagger = score * math.exp(growth)
    stagger[..., -1] -= math.expm1(growth) * score.sum(-1)
    return stagger * (here * math.exp(-growth) - torch.where(masked, math.expm1(-growth), 0.0))


def dense_step(
    log_score: Float[Tensor, "b l v"],
    x: Int[Tensor, "b l"],
    process: Absorbing,
    t: float,
    s: float,
    kind: Literal["euler", "tweedie"],
) -> Int[Tensor, "b l"]:
    """A draw from `dense_probs` by Gumbel noise for every state of every position, as samplers are often written."""
    probs = dense_probs(log_score.exp(), x, process, t, s, kind)
    noise = 1e-10 - (torch.rand_like(probs) + 1e-10).log()
    drawn: Tensor = (probs / noise).argmax(-1)
    return drawn
