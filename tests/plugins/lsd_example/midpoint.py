"""Exponential midpoint steps: freeze the rate at the middle of a step."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.euler import gained
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.one_call import Unmasking
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class Midpoint(Unmasking):
    """Unmask with chance 1 - exp(-(t - s) r(m)): r is the rate of one masked token, m = (s + t) / 2.

    Cost: 1 network call, at t. The chance is exact up to O((t - s)^3).
    """

    name: ClassVar[str] = "midpoint"
    factorised: ClassVar[bool] = True  # hence it can be learned, certified and exported

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        return seen.unmask(step, self.gained_chance(seen.backbone, step))

    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        middle = torch.tensor((step.s + step.t) / 2, dtype=torch.float64)
        rate = float(backbone.process.noise.rate(middle) * backbone.process.score_scale(middle))
        return gained(1 - math.exp(-(step.t - step.s) * rate), step)
