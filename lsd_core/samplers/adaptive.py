"""Shared code of the samplers that choose the positions to unmask by the network's prediction of them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.prediction import Prediction
from lsd_core.samplers.protocol import check_grid
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid


@dataclass(frozen=True)
class ByPrediction(OneCall):
    """Unmask the positions of which the network is surest, chosen by its distributions before any token is drawn.

    The choice is a function of the state, so the chain rule holds along it: one token a call, without gain, is
    the network itself along this order. A log-score gain acts before the choice.

    Cost: 1 network call, and the head on all masked rows.
    """

    grids: ClassVar[frozenset[Grid]] = frozenset({"counts"})
    adaptive: ClassVar[bool] = True
    by_quota: ClassVar[str] = ""
    """The sampler that unmasks a step's quota by the same doubts, if it is another."""
    varies: ClassVar[bool] = False
    """Whether chains differ in how many tokens a step unmasks."""

    @abstractmethod
    def doubts(self, seen: MaskedPrediction) -> Float[Tensor, " r"]:
        """A number for each masked row; the smallest is unmasked first."""

    def sizes(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"], step: Step) -> Int[Tensor, " b"]:
        """How many tokens each chain unmasks: the step's quota."""
        assert step.counts is not None
        return torch.full((len(seen.x),), step.counts[0] - step.counts[1], device=seen.x.device)

    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        check_grid(self, step.grid)
        assert isinstance(seen, MaskedPrediction)
        doubts = self.doubts(seen)
        return seen.unmask_sizes(self.sizes(seen, doubts, step), doubts)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw; chains in which nothing is masked take none."""
        masked = absorbing(backbone, self.name)
        if not bool((state.x == masked.process.mask).any()):
            return state
        return super().step(masked, state, step, draws)


@dataclass(frozen=True)
class WithinBudget(ByPrediction):
    """One that decides itself how many tokens to unmask: those `allowed`, at least one.

    Of a table's counts only their number is read, the calls that it may make: the last step unmasks what is left. A
    table may hold a threshold for each step, in place of the sampler's own. A time-conditioned network is given the
    time at which as many tokens are masked as each chain has.
    """

    varies: ClassVar[bool] = True

    @abstractmethod
    def allowed(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Bool[Tensor, " r"]:
        """Which masked rows may be unmasked; with a row, all that are surer may."""

    @abstractmethod
    def levels(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
        """The threshold at which each masked row would just be allowed."""

    @abstractmethod
    def at_threshold(self, threshold: float) -> "WithinBudget":
        """The same sampler with another threshold."""

    @abstractmethod
    def loosened(self, threshold: float, factor: float) -> float:
        """A threshold that allows more by a factor > 1, less by one < 1."""

    def of_step(self, step: Step) -> "WithinBudget":
        """The sampler with the threshold of the step, if its table holds one."""
        return self if step.threshold is None else self.at_threshold(step.threshold)

    def sizes(self, seen: MaskedPrediction, doubts: Float[Tensor, " r"], step: Step) -> Int[Tensor, " b"]:
        if step.last:
            return torch.full((len(seen.x),), seen.x.shape[1], device=seen.x.device)
        chains = seen.rows[0][self.of_step(step).allowed(seen, doubts)]
        return torch.bincount(chains, minlength=len(seen.x)).clamp(min=1)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        return super().step(Conditioned(absorbing(backbone, self.name)), state, step, draws)


def entropies(log_probs: Float[Tensor, "k v"]) -> Float[Tensor, " k"]:
    """Entropy of each distribution in nats; -inf counts as probability 0."""
    return -(log_probs.exp() * log_probs.clamp(min=-1e300)).sum(-1).clamp(max=0)


def largest(log_probs: Float[Tensor, "k v"]) -> Float[Tensor, " k"]:
    """Largest probability of each distribution."""
    return log_probs.amax(-1).exp()
