"""Step methods for any process, by name: the laws of their one or two stages.

Each step goes from time t to s. A stage is a function of what the network says at its own state; a method
with a second stage sees both. The last step of a table is the final denoise, one Tweedie step that
removes all of sigma_bar(t), whatever the method: it costs one call and is part of the budget.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.processes import Gaussian, Process
from lsd_core.samplers.dense.laws import DenseLaw, euler_law, last_jump_law, ordinal_law, single_jump_law
from lsd_core.samplers.dense.prediction import Prediction
from lsd_core.samplers.halves import check_theta
from lsd_core.samplers.step import Step


@runtime_checkable
class DenseSampler(Protocol):
    """A method with one stage; `TwoStage` adds another."""

    name: ClassVar[str]
    calls_per_step: ClassVar[int]

    def first(self, seen: Prediction, step: Step) -> DenseLaw: ...


@runtime_checkable
class TwoStage(DenseSampler, Protocol):
    """A method that looks again, at time `middle(step)`, from where the first stage led."""

    def middle(self, step: Step) -> float: ...
    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> DenseLaw: ...


@dataclass(frozen=True)
class DenseEuler:
    """Frozen rates over [s, t]; 1 call a step, order 1."""

    name: ClassVar[str] = "euler"
    calls_per_step: ClassVar[int] = 1

    def first(self, seen: Prediction, step: Step) -> DenseLaw:
        return euler_law(seen.rates(), seen.x, step.t - step.s)


@dataclass(frozen=True)
class DenseTweedie:
    """Tweedie tau-leaping; 1 call a step, exact marginals for an exact network, order 1."""

    name: ClassVar[str] = "tweedie"
    calls_per_step: ClassVar[int] = 1

    def first(self, seen: Prediction, step: Step) -> DenseLaw:
        return seen.tweedie(step.s)


@dataclass(frozen=True)
class DenseTauLeaping:
    """Poisson jumps at frozen rates (tauLDR Sec. 4.3): summed on gaussian, last one wins elsewhere.

    1 call a step, order 1. `reject` drops tokens' moves where they jump twice or more; it costs nothing here,
    and an order in a method of order 2.
    """

    name: ClassVar[str] = "tau_leaping"
    calls_per_step: ClassVar[int] = 1
    reject: bool = False

    def first(self, seen: Prediction, step: Step) -> DenseLaw:
        return leap(seen.process, seen.rates(), seen.x, step.t - step.s, self.reject)


@dataclass(frozen=True)
class _TwoCalls:
    """Leap theta of the step, and look at the network again there."""

    calls_per_step: ClassVar[int] = 2
    theta: float = 0.5
    reject: bool = False

    def __post_init__(self) -> None:
        check_theta(self.theta)

    def middle(self, step: Step) -> float:
        """rho, the time of the second call."""
        return step.t - self.theta * (step.t - step.s)

    def first(self, seen: Prediction, step: Step) -> DenseLaw:
        return leap(seen.process, seen.rates(), seen.x, self.theta * (step.t - step.s), self.reject)


@dataclass(frozen=True)
class DenseTrapezoidal(_TwoCalls):
    """Theta-trapezoidal (Ren et al. 2025): leap theta h, then (1 - theta) h with (a1 mu* - a2 mu)_+ from x*.

    Both rates are indexed by target state, 0 at the current one. 2 calls a step. Order as enumerated: on a
    mild uniform chain 2.02 where the last jump wins and 0.99 where two jumps are rejected; on a strongly
    correlated one 0.84; on gaussian, where moves add, 1.02.
    """

    name: ClassVar[str] = "theta_trapezoidal"

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> DenseLaw:
        upper = 1 / (2 * self.theta * (1 - self.theta))
        early, late, x_mid = seen.rates(), seen_mid.rates(), seen_mid.x
        rates = (upper * late - (upper - 1) * early).clamp(min=0).scatter(-1, x_mid[..., None], 0.0)
        return leap(seen.process, rates, x_mid, (1 - self.theta) * (step.t - step.s), self.reject)


@dataclass(frozen=True)
class DenseRK2(_TwoCalls):
    """Theta-RK-2 (Ren et al. 2025): step from x with ((1 - w) mu + w mu*)_+, w = 1 / (2 theta).

    A token that the probe moved keeps mu, as on the absorbing process.

    2 calls a step; order 1 on correlated tokens.
    """

    name: ClassVar[str] = "theta_rk2"

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> DenseLaw:
        weight = 1 / (2 * self.theta)
        early, late, x, x_mid = seen.rates(), seen_mid.rates(), seen.x, seen_mid.x
        kept = torch.where((x == x_mid)[..., None], (1 - weight) * early + weight * late, early)
        rates = kept.clamp(min=0).scatter(-1, x[..., None], 0.0)
        return leap(seen.process, rates, x, step.t - step.s, self.reject)


@dataclass(frozen=True)
class DenseTauLeapingCorrected:
    """Tau-leaping, then a corrector leap at s with rates forward + reverse (tauLDR, Sec. 4.4).

    The corrector starts from the predictor's state; to first order it leaves the law at s alone. 2 calls a
    step, order 1; with an inexact network its limit is not the reverse chain's law.
    """

    name: ClassVar[str] = "tau_leaping_corrected"
    calls_per_step: ClassVar[int] = 2
    share: float = 0.5
    """Length of the corrector's leap, as a share of the step."""
    reject: bool = False

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise InputError("share", "be positive", self.share)

    def middle(self, step: Step) -> float:
        """The time of the second call: the end of the step."""
        return step.s

    def first(self, seen: Prediction, step: Step) -> DenseLaw:
        return leap(seen.process, seen.rates(), seen.x, step.t - step.s, self.reject)

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> DenseLaw:
        process, x_mid, reverse = seen.process, seen_mid.x, seen_mid.rates()
        rate = float(process.noise.rate(torch.tensor(step.s, dtype=torch.float64)))
        rates = (reverse + rate * process.rates_from(x_mid)).scatter(-1, x_mid[..., None], 0.0)
        return leap(process, rates, x_mid, self.share * (step.t - step.s), self.reject)


def leap(process: Process, rates: Tensor, x: Tensor, duration: float, reject: bool) -> DenseLaw:
    """Law after Poisson jumps: summed where states are ordinal, else the last wins or many are rejected."""
    if isinstance(process, Gaussian):
        return ordinal_law(rates, x, duration)
    return single_jump_law(rates, x, duration) if reject else last_jump_law(rates, x, duration)


_ALL: tuple[DenseSampler, ...] = (
    DenseEuler(),
    DenseTweedie(),
    DenseTauLeaping(),
    DenseTauLeapingCorrected(),
    DenseTrapezoidal(),
    DenseRK2(),
)
DENSE_SAMPLERS: dict[str, DenseSampler] = {method.name: method for method in _ALL}


def get_dense(name: str, process: Process) -> DenseSampler:
    """The method of that name for a process without a fast path."""
    if name not in DENSE_SAMPLERS:
        raise InputError("sampler", f"be one of {sorted(DENSE_SAMPLERS)} on the {process.kind} process", name)
    return DENSE_SAMPLERS[name]
