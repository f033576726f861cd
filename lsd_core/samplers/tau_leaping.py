"""Tau-leaping, with or without a corrector."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.processes import Process
from lsd_core.samplers.full_kernels import leap_kernel
from lsd_core.samplers.kernel import Kernel, TokenUniforms
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import Unmasking
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.protocol import ALL, FULL, Kind, check_grid
from lsd_core.samplers.remasking import RemaskingKernel
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid
from lsd_core.samplers.two_calls import TwoCalls


@dataclass(frozen=True)
class TauLeaping(Unmasking):
    """Poisson numbers of jumps at rates frozen over [s, t] (tauLDR, Campbell et al. 2022, Sec. 4.3).

    Jumps are summed on the gaussian process; elsewhere the last one wins, or with `reject` the moves of tokens
    that jump twice or more are dropped. A masked token jumps with total rate rate(t) alpha / (1 - alpha), so it
    stays masked with chance exp(-(t - s) rate) and otherwise has its x0 distribution. A step to s = 0 would
    leave exp(-1) of the masks: the last step of a table unmasks them all. Grids of counts have no Poisson numbers.

    Cost: 1 network call. Order 1 in total variation.
    """

    name: ClassVar[str] = "tau_leaping"
    processes: ClassVar[frozenset[Kind]] = ALL
    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})
    factorised: ClassVar[bool] = True
    teacher: ClassVar[frozenset[Kind]] = FULL
    reject: bool = False

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        check_grid(self, step.grid)
        if isinstance(seen, MaskedPrediction):
            return seen.unmask(step, self.gained_chance(seen.backbone, step))
        return leap_kernel(seen.process, seen.rates(), seen.x, step.t - step.s, self.reject)

    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        return 1.0 if step.last else jump_chance(backbone, step, step.t - step.s, step.t)


@dataclass(frozen=True)
class TauLeapingCorrected(TwoCalls):
    """Tau-leaping, then a corrector leap at s with rates forward + reverse (tauLDR, Sec. 4.4).

    The corrector starts from the predictor's state and leaves the distribution at s alone to first order: on a
    masked process a masked token is unmasked at rate(s) alpha / (1 - alpha), another masked at rate(s), for
    `share` (t - s). There is none after the last step, which leaves nothing masked.

    Cost: 2 network calls, 1 in the last step. Order 1 in total variation where the network's predictions are
    those of some data; otherwise the corrector's own stationary distribution differs from the reverse chain's,
    and finer grids, which correct more often per unit of time near 0, do not come closer to it.
    """

    name: ClassVar[str] = "tau_leaping_corrected"
    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})
    share: float = 0.5
    """Length of the corrector's leap, as a share of the step."""
    reject: bool = False

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise InputError("share", "be positive", self.share)

    def first(self, seen: Prediction, step: Step) -> Kernel:
        """The predictor: a step of `TauLeaping`."""
        check_grid(self, step.grid)
        return TauLeaping(self.reject).kernel(seen, step)

    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> Kernel:
        """The corrector, from the predictor's state at s."""
        leap = self.share * (step.t - step.s)
        if isinstance(seen_mid, MaskedPrediction):
            backbone = seen_mid.backbone
            unmask = seen_mid.unmask(step, jump_chance(backbone, step, leap, step.s))
            return RemaskingKernel(unmask, -math.expm1(-leap * noise_rate(backbone.process, step.s)))
        x, reverse, process = seen_mid.x, seen_mid.rates(), seen_mid.process
        rates = reverse + noise_rate(process, step.s) * process.rates_from(x)
        return leap_kernel(process, rates.scatter(-1, x[..., None], 0.0), x, leap, self.reject)

    def middle(self, step: Step, length: int) -> float:
        """The end of the step."""
        return step.s

    def uniforms(self, stage: int, step: Step) -> TokenUniforms:
        """A token may be drawn more than once: each draw has uniforms of its own."""
        return (Purpose.TOKEN, 2 * step.index + stage)

    def ends_early(self, seen: Prediction, step: Step) -> bool:
        return step.last


def noise_rate(process: Process, t: float) -> float:
    """rate(t) of the forward process."""
    return float(process.noise.rate(torch.tensor(t, dtype=torch.float64)))


def jump_chance(backbone: Backbone, step: Step, duration: float, t: float) -> float:
    """Chance that a masked token is unmasked by Poisson jumps at the rates of time t, under a `score` gain."""
    time = torch.tensor(t, dtype=torch.float64)
    total = float(backbone.process.noise.rate(time) * backbone.process.score_scale(time))
    gain = step.gain if step.gain_on == "score" else 1.0
    return -math.expm1(-(gain * duration * total))
