"""Gibbs-corrected steps: a predictor, then a second call that draws the least confident tokens anew."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, Backbone, absorbing
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.categorical import HEAD_ELEMENTS, rows_of
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.full import FullPrediction
from lsd_core.samplers.full_kernels import FullKernel
from lsd_core.samplers.least_confident import choose, log_margin, sizes
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.prediction import call, look
from lsd_core.samplers.protocol import ALL, Abilities, Kind
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step

Memory = Float[Tensor, "b l"]
MOST = 1e300  # of a log-weight that is not impossible


@dataclass(frozen=True)
class Gibbs(Abilities):
    """An ancestral step to s (`Tweedie`; fixed counts on a grid of them), then Gibbs updates of some tokens at s.

    The corrector draws a share of the tokens from their distribution given all others (informed correctors, Zhao et
    al. 2024, arXiv 2407.21243). They are chosen without replacement with chances in proportion to exp(-c /
    temperature), c the log-margin of the token at its position. One position, chosen at random, is a Gibbs update,
    which leaves an exact network's p_s alone; several at once are drawn independently.

    - Without a mask p_s(x_i = y | others) is the score at (x, s), normalised over y, and so is c: the uniform-noise
      form of diffusers' DiscreteDDIMScheduler. The final denoise is not corrected.
    - On a masked process the chosen tokens are masked and all drawn from one call's distributions given the rest. The
      paper reads c from a network that never sees the token itself; others do, so c is the log-margin that the token
      had when it was drawn. Given tokens are never chosen, and a chain with nothing left to unmask is finished.

    share = 0 is the ancestral sampler. Cost: 2 network calls, 1 where the step is the final denoise.
    """

    name: ClassVar[str] = "gibbs"
    processes: ClassVar[frozenset[Kind]] = ALL
    calls_per_step: ClassVar[int] = 2
    share: float = 0.1
    """Of the unmasked tokens, or of all where there is no mask, how many are drawn anew; at least one."""
    temperature: float = 1.0
    """Of the choice: near 0 the least confident, large any."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError("share", "lie in [0, 1]", self.share)
        if not 0 < self.temperature < float("inf"):
            raise InputError("temperature", "be positive and finite", self.temperature)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """Two network calls, two draws."""
        seen, state = look(backbone, state, step.t, step)
        end = seen.kernel_at_end(step)
        kernel = end or Tweedie().kernel(seen, step)
        before = state
        state = state.moved(kernel.draw(draws, seen.draws_a_step * step.index), backbone)
        if end is not None or self.share == 0:
            return state
        if isinstance(seen, FullPrediction):
            return self._corrected(backbone, state, step, draws)
        state = replace(state, memory=noted(seen, before, state.x))
        unfinished = (before.x == seen.backbone.process.mask).any(1)
        return self._redrawn(absorbing(backbone, self.name), state, step, draws, unfinished)

    def conditional(self, seen: FullPrediction) -> FullKernel:
        """p_s(x_i = y | the other tokens), (b, l, s), from the scores at (x, s)."""
        return FullKernel(seen.score / seen.score.sum(-1, keepdim=True))

    def log_weights(self, margin: Float[Tensor, "b l"], candidates: Bool[Tensor, "b l"]) -> Tensor:
        """Of the choice, (b, l)."""
        return torch.where(candidates, (-margin / self.temperature).clamp(-MOST, MOST), -torch.inf)

    def _corrected(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """Without a mask."""
        seen, state = look(backbone, state, step.s, step)
        assert isinstance(seen, FullPrediction)
        kernel, everywhere = self.conditional(seen), torch.ones_like(state.x, dtype=torch.bool)
        weights = self.log_weights(log_margin(kernel.probs.log(), state.x), everywhere)
        chosen = choose(weights, sizes(self.share, everywhere), draws, step.index)
        drawn = kernel.draw(draws, seen.draws_a_step * step.index + 1)
        return state.moved(torch.where(chosen, drawn, state.x), backbone)

    def _redrawn(
        self, backbone: Backbone, state: State, step: Step, draws: Draws, unfinished: Bool[Tensor, " b"]
    ) -> State:
        """On a masked process, for the chains that were not finished before the step.

        A time-conditioned network is given the time at which so many tokens are masked.
        """
        assert state.memory is not None
        candidates = self.candidates(state, backbone.process.mask) & unfinished[:, None]
        weights = self.log_weights(state.memory, candidates)
        chosen = choose(weights, sizes(self.share, candidates), draws, step.index)
        masked = state.moved(torch.where(chosen, backbone.process.mask, state.x), backbone)
        number = (masked.x == backbone.process.mask).sum(1).double()
        times = torch.where(number == backbone.length, 1.0, number / (backbone.length + 1))
        features, masked = call(backbone, masked, times, wanted=chosen.any(1))
        seen = MaskedPrediction.of(backbone, masked.x, features, step)
        kernel = self.redraw(seen, chosen)
        x = kernel.draw(draws, step.index, (Purpose.STAGE2_TOKEN, step.index))
        return replace(masked.moved(x, backbone), memory=noted(seen, masked, x))

    def candidates(self, state: State, mask: int) -> Bool[Tensor, "b l"]:
        """Which tokens may be masked again: those that were drawn."""
        drawn = state.x != mask
        return drawn if state.given is None else drawn & ~state.given

    def redraw(self, seen: MaskedPrediction, chosen: Bool[Tensor, "b l"]) -> MaskedKernel:
        """Unmask the chosen positions, and no other."""
        return seen.unmask_sizes(chosen.sum(1), (~chosen[seen.rows]).double())


def noted(seen: MaskedPrediction, before: State, x: Int[Tensor, "b l"]) -> Memory:
    """The memory after tokens were drawn: the log-margin of each when it was drawn, 0 elsewhere."""
    memory = torch.zeros_like(x, dtype=torch.float64) if before.memory is None else before.memory
    new = (x != seen.x)[seen.rows].nonzero()[:, 0]
    if len(new) == 0:
        return memory
    where = (seen.rows[0][new], seen.rows[1][new])
    parts = new.split(rows_of(HEAD_ELEMENTS, seen.backbone.process.num_tokens))
    log_probs = (seen.tokens(part) for part in parts)
    tokens = x[where].split([len(part) for part in parts])
    margins = [log_margin(rows, drawn) for rows, drawn in zip(log_probs, tokens, strict=True)]
    return memory.index_put(where, torch.cat(margins))
