"""Kernels of a step of full-state processes, position by position, and the jump rates that they come from."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Gaussian, Process
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.kernel import ONCE, Kernel, TokenUniforms
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import GainOn


@dataclass(frozen=True, eq=False)
class FullKernel(Kernel):
    """Independent distributions of the positions after a step, and how far the formula strayed from one."""

    probs: Float[Tensor, "b l s"]
    """Probabilities, float64, rows sum to 1."""
    most_negative: float = 0.0
    """The least entry before clamping; 0 if none was negative."""

    def draw(self, draws: Draws, call: int, tokens: TokenUniforms = ONCE) -> Int[Tensor, "b l"]:
        """The tokens after the step. Any token may be drawn again: each draw has uniforms of its own."""
        b, length, states = self.probs.shape
        uniform = uniform_grid(draws.seed, draws.trajectory, call, length, Purpose.TOKEN)
        return draw_categorical(self.probs.reshape(-1, states), uniform.flatten()).view(b, length)


def checked(raw: Float[Tensor, "b l s"]) -> FullKernel:
    """Clamp what a frozen or inexact rate made negative, renormalise, and report the least entry."""
    probs = raw.double().clamp(min=0)
    return FullKernel(probs / probs.sum(-1, keepdim=True), min(0.0, float(raw.min())))


def gained(
    score: Float[Tensor, "b l s"],
    process: Process,
    x: Int[Tensor, "b l"],
    gain: float | Tensor,
    gain_on: GainOn,
) -> Float[Tensor, "b l s"]:
    """Scores under a gain, 1 at y = x_i: on the `score` all jumps scale; on the `log_score` they sharpen.

    A power of the scores would change how often a token jumps too, so each row is scaled back to its total
    rate: the gain then decides where tokens jump, never how often.
    """
    if gain_on == "score":
        changed = gain * score
    else:
        into = process.rates_into(x).clamp(min=0)
        powered = score**gain
        total, sharpened = ((into * each).sum(-1, keepdim=True) for each in (score, powered))
        changed = torch.where(sharpened > 0, powered * total / sharpened, score)
    return changed.scatter(-1, x[..., None], 1.0)


def reverse_rates(
    process: Process, x: Int[Tensor, "b l"], score: Float[Tensor, "b l s"], t: Float[Tensor, " b"]
) -> Float[Tensor, "b l s"]:
    """Rates rate(t) Q(y, x_i) score[i, y] from x_i to every other y, 0 at y = x_i; float64."""
    rates = process.noise.rate(t)[:, None, None] * process.rates_into(x) * score.double()
    return rates.scatter(-1, x[..., None], 0.0)


def euler_kernel(rates: Float[Tensor, "b l s"], x: Int[Tensor, "b l"], duration: float) -> FullKernel:
    """delta_x + duration * rates (LSD Eq. 4); where a token would leave with chance above 1 it leaves."""
    return checked(_stay(duration * rates, x, 1 - duration * rates.sum(-1)))


def last_jump_kernel(rates: Float[Tensor, "b l s"], x: Int[Tensor, "b l"], duration: float) -> FullKernel:
    """Poisson jumps of a categorical token, the last one wins: stay with exp(-total), else as the rates."""
    total = duration * rates.sum(-1)
    jump = -torch.expm1(-total) / total.clamp(min=1e-300)
    return checked(_stay(jump[..., None] * duration * rates, x, torch.exp(-total)))


def single_jump_kernel(rates: Float[Tensor, "b l s"], x: Int[Tensor, "b l"], duration: float) -> FullKernel:
    """Poisson jumps of a categorical token, two or more rejected: the variant that costs an order."""
    total = duration * rates.sum(-1)
    once = torch.exp(-total)
    return checked(_stay(once[..., None] * duration * rates, x, 1 - once * total))


def ordinal_kernel(rates: Float[Tensor, "b l s"], x: Int[Tensor, "b l"], duration: float) -> FullKernel:
    """Poisson jumps of an ordinal token: x_i plus the sum of all moves, clamped to the states.

    The sum is compound Poisson; its distribution is the inverse Fourier transform of exp(sum_d r_d (e^{iwd} - 1)), on
    a circle of 8 S points (at least 512), so that what wraps around it is less than rounding for any sensible
    step.
    """
    states = rates.shape[-1]
    circle = max(8 * states, 512)
    moves = torch.arange(states, device=x.device) - x[..., None]  # (b, l, s)
    intensity = torch.zeros(*x.shape, circle, dtype=torch.float64, device=x.device)
    intensity.scatter_add_(-1, moves % circle, duration * rates.double())
    transform = torch.fft.rfft(intensity)
    sums = torch.fft.irfft(torch.exp(transform - transform[..., :1].real), n=circle)
    landing = x[..., None] + (torch.arange(circle, device=x.device) + circle // 2) % circle - circle // 2
    probs = torch.zeros_like(rates, dtype=torch.float64)
    probs.scatter_add_(-1, landing.clamp(0, states - 1), sums.clamp(min=0))
    return checked(probs)


def leap_kernel(
    process: Process,
    rates: Float[Tensor, "b l s"],
    x: Int[Tensor, "b l"],
    duration: float,
    reject: bool = False,
) -> FullKernel:
    """Poisson jumps: summed where states are ordinal, else the last one wins or two and more are rejected."""
    if isinstance(process, Gaussian):
        return ordinal_kernel(rates, x, duration)
    return (single_jump_kernel if reject else last_jump_kernel)(rates, x, duration)


def tweedie_kernel(
    process: Process, x: Int[Tensor, "b l"], score: Float[Tensor, "b l s"], growth: float
) -> FullKernel:
    """Staggered score times transposed transition (SEDD Theorem 4.1): exact marginals for an exact network.

    An inexact network makes entries negative, on the uniform and gaussian processes far below 0.
    """
    return checked(process.stagger(score.double(), growth) * process.transition_into(x, growth))


def bridge_probs(
    process: Process,
    x: Int[Tensor, "b l"],
    x0: Float[Tensor, "b l s"],
    sigma_bar: float,
    growth: float,
) -> Float[Tensor, "b l s"]:
    """sum_z p(x0_i = z | x_t) p(x_s,i = y | x0_i = z, x_t,i), s earlier than t by `growth` of sigma_bar.

    Of a clean token's distribution it makes the same kernel as `tweedie_kernel` of its scores, without a subtraction.
    """
    reached = process.transition_into(x, sigma_bar)
    onto = process.stagger(x0.double() / reached.clamp(min=1e-300), growth - sigma_bar)
    return onto.clamp(min=0) * process.transition_into(x, growth)


def _stay(
    jumps: Float[Tensor, "b l s"], x: Int[Tensor, "b l"], stay: Float[Tensor, "b l"]
) -> Float[Tensor, "b l s"]:
    return jumps.scatter(-1, x[..., None], stay[..., None])
