"""Benchmark `teacher`: the share of a teacher's time spent in the network."""

import torch

from flows.bench.cases import forward, race
from flows.bench.figures import Figure, Setting
from flows.bench.shapes import network_of
from flows.bench.timing import Thunk
from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.recording import record_steps
from lsd_core.samplers.state import Draws

TITLE = "bare forward passes' time over a teacher's, for as many sequences"
UNIT = "bare forward's throughput"
LEAST = 0.9
STEPS = 8


def ask(setting: Setting) -> list[Figure]:
    """N-step teachers of both families, and the exact one where sequences are short."""
    figures = []
    for family in ("sedd", "radd"):
        backbone = network_of(setting, family)
        teachers = {f"euler, {STEPS} steps": (STEPS, _stepping(backbone, setting))}
        if backbone.length <= 256:
            teachers["first hitting"] = (backbone.length, _exact(backbone, setting))
        thunks = {name: thunk for name, (_, thunk) in teachers.items()}
        run = race({"forward": forward(backbone, setting)} | thunks, setting)
        for name, (calls, _) in teachers.items():
            share = run.ratio(name, "forward").inverse(calls)
            figures.append(Figure.of("teacher", f"{family}, {name}", share, UNIT, at_least=LEAST))
    return figures


def _stepping(backbone: Backbone, setting: Setting) -> Thunk:
    trajectory = torch.arange(setting.batch, device=setting.device)
    return lambda: record_steps(backbone, "euler", STEPS, Draws(0, trajectory))


def _exact(backbone: Backbone, setting: Setting) -> Thunk:
    trajectory = torch.arange(setting.batch, device=setting.device)
    return lambda: first_hitting(backbone, Draws(0, trajectory))
