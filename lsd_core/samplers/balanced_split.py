"""Balanced split: draw how many tokens a step unmasks, unmask half, predict again, unmask the rest."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.euler import exact_chance
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction, masked_rows
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import Abilities
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step, time_of_count


@dataclass(frozen=True)
class BalancedSplit(Abilities):
    """The number of tokens of `Tweedie` over [s, t], or a step's quota on a grid of counts, in two equal parts.

    Of k tokens, all subsets alike, k // 2 are drawn by the prediction at (x, t), the others by the prediction at
    x* and the middle of the step. Two tokens in one step, the whole error of a first-order method, so follow each
    other as in the exact chain; a single token is predicted at the middle time, its mean. What is left is three
    in one step.

    Cost: 2 network calls, fewer for chains that unmask less than two tokens. Order 2 in total variation (2.00
    as enumerated), on strongly correlated chains too.
    """

    name: ClassVar[str] = "balanced_split"
    calls_per_step: ClassVar[int] = 2

    def sizes(self, backbone: AnyBackbone, x: Tensor, step: Step, draws: Draws) -> Int[Tensor, " b"]:
        """How many tokens each chain unmasks in this step: binomial over its masked tokens, or the quota."""
        if step.counts is not None:
            return torch.full((len(x),), step.counts[0] - step.counts[1], device=x.device)
        masked = absorbing(backbone, self.name)
        sample, position = masked_rows(masked, x)
        uniform = draws.at(step.index, Purpose.REVEAL, (sample, position), x.shape[1])
        return torch.bincount(sample[uniform < exact_chance(masked, step)], minlength=len(x))

    def half(self, seen: MaskedPrediction, size: Int[Tensor, " b"]) -> MaskedKernel:
        """The tokens after `size` more are unmasked."""
        return seen.unmask_sizes(size)

    def middle(self, step: Step, length: int) -> float:
        """The time of the second call."""
        if step.counts is None:
            return (step.t + step.s) / 2
        n, m = step.counts
        return time_of_count(n - (n - m) // 2, length)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """At most two network calls; the trajectory's one random order decides which tokens come first."""
        size = self.sizes(backbone, state.x, step, draws)
        early = size // 2
        middle = self.middle(step, backbone.length)
        for part, t, wanted in ((early, step.t, early > 0), (size - early, middle, size > 0)):
            seen, state = look(backbone, state, t, step, wanted)
            assert isinstance(seen, MaskedPrediction)
            state = state.moved(self.half(seen, part).draw(draws, step.index), backbone)
        return state
