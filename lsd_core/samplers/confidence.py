"""Confidence, margin and entropy orders: unmask the positions of which the network is surest."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from lsd_core.samplers.adaptive import ByPrediction, entropies, largest
from lsd_core.samplers.masked import MaskedPrediction


@dataclass(frozen=True)
class Confidence(ByPrediction):
    """The positions whose most likely token has the largest probability."""

    name: ClassVar[str] = "confidence"

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return -seen.measured(largest)


@dataclass(frozen=True)
class Margin(ByPrediction):
    """The positions where the two most likely tokens are furthest apart in probability (Kim et al. 2025)."""

    name: ClassVar[str] = "margin"

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        def margin(log_probs: Tensor) -> Tensor:
            top = log_probs.topk(min(2, log_probs.shape[1]), dim=-1).values.exp()
            return top[:, 0] - top[:, -1] if top.shape[1] > 1 else top[:, 0]

        return -seen.measured(margin)


@dataclass(frozen=True)
class Entropy(ByPrediction):
    """The positions of the least entropy (Dream)."""

    name: ClassVar[str] = "entropy"

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return seen.measured(entropies)
