"""What the methods with two calls a step share: a step cut in two."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.laws import RevealLaw
from lsd_core.samplers.step import Step, time_of_count


def check_theta(theta: float) -> None:
    if not 0 < theta < 1:
        raise InputError("theta", "lie in (0, 1)", theta)


def cut(step: Step, theta: float, length: int) -> tuple[Step, Step]:
    """The step from t to rho = t - theta (t - s), and the step from there to s; each has its own index.

    On a grid of counts the first part reveals the share theta of the tokens, rounded down.
    """
    if step.counts is None:
        middle, before, after = step.t - theta * (step.t - step.s), None, None
    else:
        n, m = step.counts
        count = n - int(theta * (n - m))
        middle, before, after = time_of_count(count, length), (n, count), (count, m)
    first = replace(step, index=2 * step.index, s=middle, counts=before)
    return first, replace(step, index=2 * step.index + 1, t=middle, counts=after)


@dataclass(frozen=True)
class TwoCalls:
    """A first look at t, and a second at rho = t - theta (t - s), on tokens x* that a first part leads to."""

    calls_per_step: ClassVar[int] = 2
    theta: float = 0.5

    def __post_init__(self) -> None:
        check_theta(self.theta)

    def first(self, backbone: Backbone, x: Tensor, features: Tensor, step: Step) -> RevealLaw:
        """Law of x* at rho, given x at t."""
        return Tweedie().law(backbone, x, features, cut(step, self.theta, backbone.length)[0])
