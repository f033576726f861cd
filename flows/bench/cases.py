"""Steps to benchmark: the share of tokens that are masked, and the share of those that a step unmasks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from flows.bench.figures import Setting
from flows.bench.replay import Replay
from flows.bench.shapes import masked_sequences
from flows.bench.timing import Race
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import GainOn

STEPS = 32  # of the grid that an ordinary step belongs to


@dataclass(frozen=True, kw_only=True)
class Case:
    """One step of one sampler at one state."""

    masked: float
    """Share of the tokens that are masked."""
    rest: bool = False
    """Whether the step is the last one, which reveals all that is left."""
    sampler: str = "euler"
    gain: float = 1.0
    gain_on: GainOn = "log_score"

    @property
    def reveals(self) -> str:
        """In words."""
        return "all that is left" if self.rest else f"1/{STEPS} of the time"

    @property
    def name(self) -> str:
        return f"{self.sampler}, {self.masked:.0%} masked, reveals {self.reveals}"

    @property
    def step(self) -> Step:
        """The step, at the time at which so much is masked."""
        end = 0.0 if self.rest else max(self.masked - 1 / STEPS, 1e-3)
        return Step(0, self.masked, end, self.gain, self.gain_on)


def runner(backbone: Backbone, case: Case, setting: Setting) -> Callable[[], State]:
    """The step on a network, with uniforms made anew each time."""
    shaped = backbone.backbone if isinstance(backbone, Replay) else backbone
    assert isinstance(shaped, DDiTBackbone)
    x = masked_sequences(shaped, case.masked, batch=setting.batch, device=setting.device)
    calls = torch.zeros(setting.batch, dtype=torch.long, device=setting.device)
    trajectory = torch.arange(setting.batch, device=setting.device)
    method = get_sampler(case.sampler, backbone.process)

    def run() -> State:
        if isinstance(backbone, Replay):
            backbone.rewind()
        return method.step(backbone, State(x=x, calls=calls), case.step, Draws(0, trajectory))

    return run


def forward(backbone: DDiTBackbone, setting: Setting) -> Callable[[], torch.Tensor]:
    """The bare forward pass: the body, and the head on every row."""
    x = masked_sequences(backbone, 1.0, batch=setting.batch, device=setting.device)
    t = torch.full((setting.batch,), 0.5, dtype=torch.float64, device=setting.device)
    return lambda: backbone.head(backbone.features(x, t).flatten(0, 1))


@torch.inference_mode()
def race(thunks: Mapping[str, Callable[[], object]], setting: Setting) -> Race:
    """All of them in turn."""
    return Race(thunks, setting.rounds, setting.device)
