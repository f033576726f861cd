"""What a base sampler is: a number of calls a step, and a step."""

from typing import Protocol, runtime_checkable

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step


@runtime_checkable
class Sampler(Protocol):
    """A method with no learned numbers of its own; those arrive in the `Step`."""

    @property
    def name(self) -> str: ...
    @property
    def calls_per_step(self) -> int: ...

    def step(self, backbone: Backbone, state: State, step: Step, draws: Draws) -> State: ...
