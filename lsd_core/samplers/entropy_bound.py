"""Entropy-bounded unmasking: as many of the surest positions as cannot depend on each other much."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.samplers.adaptive import WithinBudget, entropies
from lsd_core.samplers.masked import MaskedPrediction


@dataclass(frozen=True)
class EntropyBound(WithinBudget):
    """The longest prefix in ascending entropy with sum H_i - max H_i <= gamma, at least one (arXiv 2505.24857).

    What is left of the sum bounds the total correlation of the tokens drawn together, so the error of the step.
    """

    name: ClassVar[str] = "entropy_bound"
    gamma: float = 0.1
    """Bound in nats; 0 unmasks one token a call (more only where the network is certain)."""

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf"):
            raise InputError("gamma", "be >= 0 and finite", self.gamma)

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return seen.measured(entropies)

    def allowed(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Bool[Tensor, " r"]:
        """In ascending order the largest entropy is the last one, so the sum of those before it counts."""
        entropy = torch.full(seen.x.shape, torch.inf, dtype=torch.float64, device=seen.x.device)
        entropy[seen.rows] = doubts
        order = entropy.argsort(dim=1, stable=True)
        ascending = entropy.gather(1, order)
        before = torch.nn.functional.pad(ascending.cumsum(1)[:, :-1], (1, 0))
        within = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before <= self.gamma)
        return within[seen.rows]
