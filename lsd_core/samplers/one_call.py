"""Samplers with one network call a step: a prediction, a kernel, a draw."""

from abc import ABC, abstractmethod
from typing import ClassVar

from lsd_core.backbones.protocol import AnyBackbone, Backbone
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.prediction import Prediction, look
from lsd_core.samplers.protocol import Abilities
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step


class OneCall(Abilities, ABC):
    """A sampler that is given by its kernel."""

    name: ClassVar[str]

    @abstractmethod
    def kernel(self, seen: Prediction, step: Step) -> Kernel:
        """The tokens after the step, given the state before it and the network's prediction there."""

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw."""
        seen, state = look(backbone, state, step.t, step)
        kernel = seen.kernel_at_end(step) or self.kernel(seen, step)
        return state.moved(kernel.draw(draws, seen.draws_a_step * step.index), backbone)


class Unmasking(OneCall):
    """On a masked process, one whose chance to unmask a token depends on the step alone."""

    @abstractmethod
    def gained_chance(self, backbone: Backbone, step: Step) -> float:
        """Chance that a masked token is unmasked on a grid of times, a `score` gain included; 1 on the last step."""
