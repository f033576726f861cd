"""Schedules of equal steps of a curve that is accumulated from noise to data, over counts or over times."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.processes import Absorbing
from lsd_core.samplers.table import StepTable, counts_from_times

Rate = Callable[
    [Float[Tensor, " n"]], Float[Tensor, " n"]
]  # H_n of the next token -> what its unmasking adds
FINE = 4096  # intervals on which a curve over times is integrated


def equal_steps_in_counts(entropy: Float[Tensor, " l"], rate: Rate, num_steps: int) -> StepTable:
    """The counts nearest to equal steps of sum_n rate(H_n), n from l down, at least one token a step.

    `entropy` has H_l first. Between two counts the sum is linear.
    """
    length = len(entropy)
    masked = _equal_steps(rate(entropy), num_steps)
    return counts_from_times(StepTable(times=masked), length)


def equal_steps_in_times(
    entropy: Float[Tensor, " l"], rate: Rate, num_steps: int, process: Absorbing
) -> StepTable:
    """Times at equal steps of the integral of rate(H(m)) dm, m the share of masked tokens, from 1 to 0.

    Each of the others is masked with chance m when one token comes, so H(m) = sum_n Binomial(n - 1; l - 1, m) H_n, and
    l times its integral from 0 to m is H(x_0 | x_m).
    """
    length = len(entropy)
    m = 1 - (torch.arange(FINE, dtype=torch.float64) + 0.5) / FINE
    others = torch.arange(length - 1, -1, -1, dtype=torch.float64)  # n - 1, in the order of the entropies
    log_choose = math.lgamma(length) - torch.lgamma(others + 1) - torch.lgamma(length - others)
    chances = (log_choose + others * m.log()[:, None] + (length - 1 - others) * (-m).log1p()[:, None]).exp()
    inner = _equal_steps(rate(chances @ entropy.to(chances)), num_steps)[1:-1]
    return StepTable(times=(1.0, *(_time_of_share(process, share) for share in inner), 0.0))


def _equal_steps(rates: Float[Tensor, " n"], num_steps: int) -> tuple[float, ...]:
    """Points from 1 down to 0 at equal steps of the sum of n rates, each constant over its n-th of the way."""
    rates = (
        rates if float(rates.sum()) > 0 else torch.ones_like(rates)
    )  # nothing is uncertain: any step will do
    reached = torch.nn.functional.pad(rates.double().cumsum(0), (1, 0)).cpu().numpy()
    steps = np.arange(1, num_steps) / num_steps * reached[-1]
    inner = 1 - np.interp(steps, reached, np.linspace(0, 1, len(reached)))
    return (1.0, *map(float, inner), 0.0)


def _time_of_share(process: Absorbing, share: float) -> float:
    """The time at which a token is masked with that chance, given that all were at t = 1; by bisection."""
    low, high = 0.0, 1.0
    one = torch.tensor(1.0, dtype=torch.float64)
    for _ in range(52):
        middle = (low + high) / 2
        masked = 1 - float(process.reveal_chance(one, torch.tensor(middle, dtype=torch.float64)))
        low, high = (low, middle) if masked > share else (middle, high)
    return (low + high) / 2
