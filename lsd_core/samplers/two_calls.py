"""Samplers with two network calls a step: an early kernel, a second prediction where it led, a late kernel."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.samplers.euler import exact_chance
from lsd_core.samplers.full_kernels import leap_kernel
from lsd_core.samplers.kernel import ONCE, Kernel, TokenUniforms
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.prediction import Prediction, look
from lsd_core.samplers.protocol import ALL, Abilities, Kind
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step, time_of_count


class TwoCalls(Abilities, ABC):
    """A sampler that is given by the kernels of its two stages."""

    name: ClassVar[str]
    processes: ClassVar[frozenset[Kind]] = ALL
    calls_per_step: ClassVar[int] = 2

    @abstractmethod
    def first(self, seen: Prediction, step: Step) -> Kernel:
        """The tokens at the middle, given the prediction at the step's start."""

    @abstractmethod
    def second(self, seen: Prediction, seen_mid: Prediction, step: Step) -> Kernel:
        """The tokens at s, given the predictions at the step's start and at its middle."""

    @abstractmethod
    def middle(self, step: Step, length: int) -> float:
        """The time of the second call."""

    def uniforms(self, stage: int, step: Step) -> TokenUniforms:
        """Which uniforms become the tokens of a stage on a masked process."""
        return ONCE

    def ends_early(self, seen: Prediction, step: Step) -> bool:
        """Whether the step has no second stage."""
        return False

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """Two network calls, two draws; the final denoise of a full-state process is one."""
        early, late = 2 * step.index, 2 * step.index + 1
        seen, state = look(backbone, state, step.t, step)
        end = seen.kernel_at_end(step)
        kernel = end or self.first(seen, step)
        state = state.moved(kernel.draw(draws, early, self.uniforms(0, step)), backbone)
        if end is not None or self.ends_early(seen, step):
            return state
        seen_mid, state = look(backbone, state, self.middle(step, backbone.length), step)
        kernel = self.second(seen, seen_mid, step)
        return state.moved(kernel.draw(draws, late, self.uniforms(1, step)), backbone)


@dataclass(frozen=True)
class ThetaMethod(TwoCalls):
    """One whose first stage takes the share theta of the step: to rho = t - theta (t - s)."""

    theta: float = 0.5
    reject: bool = False
    """Drop tokens' moves where they jump twice or more in a leap (full-state processes): costs an order."""

    def __post_init__(self) -> None:
        if not 0 < self.theta < 1:
            raise InputError("theta", "lie in (0, 1)", self.theta)

    def first(self, seen: Prediction, step: Step) -> Kernel:
        """The exact chance on a masked process, where no rate 1/t is integrated; a leap elsewhere."""
        if isinstance(seen, MaskedPrediction):
            early = cut(step, self.theta, seen.backbone.length)[0]
            return seen.unmask(early, exact_chance(seen.backbone, early))
        return leap_kernel(seen.process, seen.rates(), seen.x, self.theta * (step.t - step.s), self.reject)

    def middle(self, step: Step, length: int) -> float:
        return cut(step, self.theta, length)[1].t


def cut(step: Step, theta: float, length: int) -> tuple[Step, Step]:
    """The step from t to rho = t - theta (t - s), and the step from there to s; each has its own index.

    On a grid of counts the first part unmasks the share theta of the tokens, rounded down.
    """
    if step.counts is None:
        middle, before, after = step.t - theta * (step.t - step.s), None, None
    else:
        n, m = step.counts
        count = n - int(theta * (n - m))
        middle, before, after = time_of_count(count, length), (n, count), (count, m)
    first = replace(step, index=2 * step.index, s=middle, counts=before)
    return first, replace(step, index=2 * step.index + 1, t=middle, counts=after)
