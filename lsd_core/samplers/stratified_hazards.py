"""Stratified hazards on uniform noise: a position jumps where its accumulated chance to jump passes a threshold."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.full import FullPrediction
from lsd_core.samplers.full_kernels import FullKernel
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import Abilities, Kind
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid

TINY = 1e-300


@dataclass(frozen=True)
class StratifiedHazards(Abilities):
    """Tweedie steps whose jumps are stratified (Jang & Han 2026, arXiv 2601.02799, the form in discrete time).

    A Tweedie step moves position i with chance m_i. Here a position has one uniform phase u_i for the whole
    trajectory, adds up m_i over the steps and jumps in the step where u_i + sum m_i passes a whole number. It makes
    floor(u_i + sum m_i) jumps, hence as many on average as with a coin a step, at a variance of at most 1/4: what
    fixed counts are to a masked process. Where a jump goes is drawn as ever, and the last step is the final denoise.

    The first step has the distribution of Tweedie's. Later ones depend on what has been added up, so the chain is
    that of (tokens, phases), no divergence from the network's own chain is bounded, and its limit of many steps
    is another distribution.

    Cost: 1 network call.
    """

    name: ClassVar[str] = "stratified_hazards"
    processes: ClassVar[frozenset[Kind]] = frozenset({"uniform"})
    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})

    def kernel(
        self, seen: FullPrediction, step: Step, phase: Float[Tensor, "b l"]
    ) -> tuple[FullKernel, Float[Tensor, "b l"]]:
        """The tokens after the step given the phases in [0, 1) before it, and the phases after it."""
        plain = seen.tweedie(step.s)
        here = seen.x[..., None]
        away = plain.probs.scatter(-1, here, 0.0)
        mass = away.sum(-1)
        total = phase + mass
        jumps = total >= 1
        moved = away / mass.clamp(min=TINY)[..., None]
        stayed = torch.zeros_like(away).scatter(-1, here, 1.0)
        kernel = FullKernel(torch.where(jumps[..., None], moved, stayed), plain.most_negative)
        return kernel, total - jumps.double()

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw; the phases are drawn before the first step."""
        phase = state.memory
        if phase is None:
            phase = uniform_grid(draws.seed, draws.trajectory, 0, state.x.shape[1], Purpose.ORDER)
        seen, state = look(backbone, state, step.t, step)
        assert isinstance(seen, FullPrediction)
        kernel = seen.kernel_at_end(step)
        if kernel is None:
            kernel, phase = self.kernel(seen, step, phase)
        x = kernel.draw(draws, seen.draws_a_step * step.index)
        return replace(state.moved(x, backbone), memory=phase)
