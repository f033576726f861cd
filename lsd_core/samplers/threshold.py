"""Confidence threshold: unmask all positions that the network is sure enough of."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.samplers.adaptive import WithinBudget, largest
from lsd_core.samplers.masked import MaskedPrediction

SMALLEST = 1e-6  # probability above which a threshold has to lie


@dataclass(frozen=True)
class Threshold(WithinBudget):
    """All positions whose most likely token has probability >= tau, at least one (Fast-dLLM, arXiv 2505.22618)."""

    name: ClassVar[str] = "threshold"
    by_quota: ClassVar[str] = "confidence"
    tau: float = 0.9
    """Least probability of the most likely token."""

    def __post_init__(self) -> None:
        if not 0 < self.tau <= 1:
            raise InputError("tau", "lie in (0, 1]", self.tau)

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return -seen.measured(largest)

    def allowed(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Bool[Tensor, " r"]:
        return self.levels(seen, doubts) >= self.tau

    def levels(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
        return -doubts

    def at_threshold(self, threshold: float) -> "Threshold":
        return replace(self, tau=threshold)

    def loosened(self, threshold: float, factor: float) -> float:
        return 1 - min(1 - SMALLEST, (1 - threshold) * factor)
