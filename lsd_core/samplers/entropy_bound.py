"""Entropy-bounded unmasking: as many of the surest positions as cannot depend on each other much."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.errors import InputError
from lsd_core.samplers.adaptive import ByPrediction, WithinBudget, entropies
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step


@dataclass(frozen=True)
class EntropyBound(WithinBudget):
    """The longest prefix in ascending entropy with sum H_i - max H_i <= gamma, at least one (arXiv 2505.24857).

    What is left of the sum bounds the total correlation of the tokens drawn together, so the error of the step.
    """

    name: ClassVar[str] = "entropy_bound"
    by_quota: ClassVar[str] = "entropy"
    gamma: float = 0.1
    """Bound in nats; 0 unmasks one token a call (more only where the network is certain)."""

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < float("inf"):
            raise InputError("gamma", "be >= 0 and finite", self.gamma)

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return seen.measured(entropies)

    def allowed(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Bool[Tensor, " r"]:
        return self.levels(seen, doubts) <= self.gamma

    def levels(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
        return summed_before(seen, doubts)

    def at_threshold(self, threshold: float) -> "EntropyBound":
        return replace(self, gamma=threshold)

    def loosened(self, threshold: float, factor: float) -> float:
        return threshold * factor


@dataclass(frozen=True)
class EntropyShare(ByPrediction):
    """The longest prefix in ascending entropy with sum H_i - max H_i <= gamma, at least one, gamma a share of sum H_i.

    The share of a step from n masked tokens to m is (n - m) / n, and the last step takes all that is left: an entropy
    bound that follows from the budget of calls and the network, in place of a setting. A time-conditioned network is
    given the time at which as many tokens are masked as each chain has.
    """

    name: ClassVar[str] = "entropy_share"
    by_quota: ClassVar[str] = "entropy"
    varies: ClassVar[bool] = True

    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        return seen.measured(entropies)

    def sizes(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"], step: Step) -> Int[Tensor, " b"]:
        if step.last:
            return torch.full((len(seen.x),), seen.x.shape[1], device=seen.x.device)
        assert step.counts is not None
        total = doubts.new_zeros(len(seen.x)).index_add(0, seen.rows[0], doubts)
        bound = total * (1 - step.counts[1] / step.counts[0])
        allowed = summed_before(seen, doubts) <= bound[seen.rows[0]]
        return torch.bincount(seen.rows[0][allowed], minlength=len(seen.x)).clamp(min=1)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        return super().step(Conditioned(absorbing(backbone, self.name)), state, step, draws)


def summed_before(seen: MaskedPrediction, entropy: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
    """Sum of the entropies of its chain that come before each masked row's own.

    In ascending order the largest entropy is the last one, so the sum of those before it counts.
    """
    known = torch.full(seen.x.shape, torch.inf, dtype=torch.float64, device=seen.x.device)
    known[seen.rows] = entropy
    order = known.argsort(dim=1, stable=True)
    before = torch.nn.functional.pad(known.gather(1, order).cumsum(1)[:, :-1], (1, 0))
    return torch.zeros_like(before).scatter(1, order, before)[seen.rows]
