"""Benchmark `whole`: the cost of a whole step, its network call included."""

from dataclasses import replace

import torch

from flows.bench.cases import Case, forward, race, runner
from flows.bench.figures import Figure, Setting
from flows.bench.shapes import masked_sequences, network_of
from flows.bench.timing import Thunk
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step

TITLE = "a whole step of a time-free network (RADD, MDLM), its call included"
UNIT = "forward pass"
LATE = 0.1
MOST, MOST_CUDA = 0.78, 0.5  # on a GPU with a bfloat16 body


def ask(setting: Setting) -> list[Figure]:
    """Steps early and late, and one whose input has not changed since the last call."""
    backbone = network_of(setting, "radd")
    cases = [Case(masked=masked, rest=rest) for masked in (LATE, 0.3, 1.0) for rest in (False, True)]
    thunks: dict[str, Thunk] = {"forward": forward(backbone, setting)}
    thunks |= {case.name: runner(backbone, case, setting) for case in cases}
    most = MOST_CUDA if (setting.device, setting.body_dtype) == ("cuda", "bfloat16") else MOST
    unchanged = f"euler, {LATE:.0%} masked, input unchanged since the last call"
    thunks[unchanged] = _unchanged(backbone, setting)
    run = race(thunks, setting)
    figures = [
        Figure.of(
            "whole",
            case.name,
            run.ratio(case.name, "forward"),
            UNIT,
            **(setting.judged(at_most=most) if case.masked == LATE else {}),
        )
        for case in cases
    ]
    return [*figures, Figure.of("whole", unchanged, run.ratio(unchanged, "forward"), UNIT)]


def _unchanged(backbone: DDiTBackbone, setting: Setting) -> Thunk:
    """A step right after one that revealed nothing."""
    x = masked_sequences(backbone, LATE, batch=setting.batch, device=setting.device)
    method = get_sampler("euler", backbone.process)
    step = Step(0, LATE, LATE - 1e-9, 1.0, "log_score")
    trajectory = torch.arange(setting.batch, device=setting.device)
    with torch.inference_mode():
        state = method.step(
            backbone, State(x=x, calls=torch.zeros_like(trajectory)), step, Draws(0, trajectory)
        )
    return lambda: method.step(backbone, state, replace(step, index=1), Draws(0, trajectory))
