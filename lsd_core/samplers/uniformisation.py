"""Exact simulation of the reverse chain of any process, by uniformisation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import finite
from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid, uniforms
from lsd_core.processes import Process
from lsd_core.samplers.full import growth_between
from lsd_core.samplers.full_kernels import reverse_rates
from lsd_core.samplers.state import Draws

Bound = Callable[
    [float, float], float
]  # (later time, earlier time) -> bound on one token's total reverse rate


@dataclass(frozen=True)
class ExactRun:
    """The final states of the chains, and their network calls."""

    x: Int[Tensor, "b l"]
    calls: Int[Tensor, " b"]
    """Network calls of each chain: one for each candidate jump."""
    jumps: Int[Tensor, " b"]
    """Jumps that happened."""


@torch.inference_mode()
def uniformise(
    backbone: ScoreBackbone,
    x: Int[Tensor, "b l"],
    times: Sequence[float],
    draws: Draws,
    bound: Bound,
    *,
    first_window: int = 0,
) -> ExactRun:
    """Carry chains from times[0] down to times[-1] with the exact distribution (van Dijk 1992; Chen & Ying 2024).

    In each window [lo, hi] candidate jumps come as a Poisson process of rate l * bound(hi, lo); at each the
    network is asked for the rates there and then, and the candidate becomes a jump with chance rates / bound.
    No rate is ever frozen, so the simulation is exact; a rate above the bound raises, with what to do. Windows are
    numbered from `first_window`, so that a path carried on in another call draws anew.
    """
    if any(hi <= lo for hi, lo in pairwise(times)) or len(times) < 2:
        raise InputError("times", "be two or more, strictly decreasing", list(times))
    b, length = x.shape
    calls, jumps = torch.zeros(b, dtype=torch.long), torch.zeros(b, dtype=torch.long)
    for window, (hi, lo) in enumerate(pairwise(times), start=first_window):
        total = length * bound(hi, lo)
        when = candidate_times(draws, window, total, hi, lo)
        for candidate in range(when.shape[1]):
            active = when[:, candidate].isfinite().nonzero()[:, 0]
            t, here = when[active, candidate], x[active]
            rates = reverse_rates(
                backbone.process, here, finite(backbone, backbone.score(here, t)), t
            ).flatten(1)
            index = choose(rates, total, draws, window, candidate, active)
            moved = index < rates.shape[1]
            rows, position = active[moved], index[moved] // backbone.process.num_states
            x = x.index_put((rows, position), index[moved] % backbone.process.num_states)
            calls[active.cpu()] += 1
            jumps[rows.cpu()] += 1
    return ExactRun(x, calls, jumps)


def candidate_times(draws: Draws, window: int, rate: float, hi: float, lo: float) -> Float[Tensor, "b k"]:
    """Times of the candidate jumps in [lo, hi], later first, infinite where a chain has no more of them."""
    zero = torch.zeros(1, dtype=torch.long, device=draws.trajectory.device)
    number = poisson(uniforms(draws.seed, draws.trajectory, window, zero, Purpose.ORDER), rate * (hi - lo))
    most = int(number.max())
    uniform = uniform_grid(draws.seed, draws.trajectory, window, most, Purpose.TIME)
    uniform[torch.arange(most, device=number.device) >= number[:, None]] = torch.inf
    ordered = uniform.sort(dim=1).values
    return torch.where(ordered.isinf(), torch.inf, hi - (hi - lo) * ordered)


def choose(
    rates: Float[Tensor, "r n"],
    total: float,
    draws: Draws,
    window: int,
    candidate: int,
    active: Int[Tensor, " r"],
) -> Int[Tensor, " r"]:
    """Which jump a candidate becomes, n for none: chance rates / total each."""
    cumulative = rates.cumsum(dim=1)
    worst = float(cumulative[:, -1].max())
    if worst > total * (1 + 1e-9):
        remedy = "use more windows, or a larger safety factor"
        raise InputError("bound", f"be at least the chains' total rate {worst:.4g}", f"{total:.4g}", remedy)
    position = torch.full_like(active, candidate)
    uniform = uniforms(draws.seed, draws.trajectory[active], window, position, Purpose.JUMP)
    return torch.searchsorted(cumulative, uniform[:, None] * total, right=True)[:, 0]


def poisson(uniform: Float[Tensor, " b"], mean: float) -> Int[Tensor, " b"]:
    """Poisson numbers by inversion."""
    most = int(mean + 12 * math.sqrt(mean) + 30)
    n = torch.arange(most + 1, dtype=torch.float64, device=uniform.device)
    log_probs = n * math.log(max(mean, 1e-300)) - mean - torch.lgamma(n + 1)
    return torch.searchsorted(log_probs.exp().cumsum(0), uniform, right=True).clamp(max=most)


def x0_rate_bound(process: Process, safety: float = 1.0) -> Bound:
    """Bound on one token's total reverse rate for any network that predicts an x0 distribution (`X0Backbone`).

    The rate is a mean over x0 = z of rate(t) sum_y Q[y, x] P[z, y] / P[z, x], P = exp(sigma_bar(t) Q), so it
    is at most the largest of these. Noise rates grow with t and the ratios shrink: rate at the later time,
    ratios at the earlier. On the uniform process that is a proof; elsewhere `safety` leaves room, and a
    breach raises.
    """

    def bound(hi: float, lo: float) -> float:
        matrix = process.transition(growth_between(process, lo, 0.0) if lo > 0 else residue(process))
        into = process.rate_matrix().clamp(min=0).T  # [x, y] = Q[y, x]
        ratios = torch.einsum("xy,zy->zx", into, matrix) / matrix
        ratios = ratios[matrix > 0]
        return safety * float(process.noise.rate(torch.tensor(hi, dtype=torch.float64)) * ratios.max())

    return bound


def residue(process: Process) -> float:
    """sigma_bar(0): what is left to denoise at t = 0; must be positive for rates to stay bounded there."""
    left = float(process.noise.sigma_bar(torch.tensor(0.0, dtype=torch.float64)))
    if left <= 0:
        raise InputError("times", "end above 0 where sigma_bar(0) = 0", 0.0, "stop early and denoise")
    return left
