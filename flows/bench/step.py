"""Benchmark `step`: the cost of a step beside its network call."""

from typing import Literal

import torch
from torch import Tensor

from flows.bench.cases import Case, forward, race, runner
from flows.bench.figures import Figure, Setting
from flows.bench.plain import dense_step
from flows.bench.replay import Replay
from flows.bench.shapes import masked_sequences, network_of
from flows.bench.timing import Thunk
from lsd_core.backbones.ddit_backbone import DDiTBackbone

TITLE = "a step's own cost, on features and logits that are there already"
UNIT = "forward pass"
MOST = {0.3: 0.02, 1.0: 0.05}  # by share masked
# By share masked, and whether all of that is unmasked.
MOST_CUDA = {(0.3, False): 0.03, (0.3, True): 0.05, (1.0, False): 0.03, (1.0, True): 0.15}
OFTEN = "as often written"


def ask(setting: Setting) -> list[Figure]:
    """Euler and Tweedie steps, ordinary and last, and the same steps as they are often written."""
    backbone = network_of(setting, "sedd")
    cases = [
        Case(masked=masked, rest=rest, sampler=sampler)
        for masked in MOST
        for rest in (False, True)
        for sampler in ("euler", "tweedie")
    ]
    bare = forward(backbone, setting)
    with torch.inference_mode():
        score = bare().view(setting.batch, backbone.length, -1)
    thunks: dict[str, Thunk] = {"forward": bare}
    thunks |= {case.name: runner(Replay(backbone), case, setting) for case in cases}
    thunks |= {
        f"{OFTEN}: {case.name}": _dense(score, backbone, case, setting) for case in cases if not case.rest
    }
    run = race(thunks, setting)
    figures = []
    for case in cases:
        most = MOST[case.masked] if setting.device == "cpu" else MOST_CUDA[case.masked, case.rest]
        figures.append(
            Figure.of(
                "step", case.name, run.ratio(case.name, "forward"), UNIT, **setting.judged(at_most=most)
            )
        )
    for name in thunks:
        if name.startswith(OFTEN):
            figures.append(Figure.of("step", name, run.ratio(name, "forward"), UNIT))
    return figures


def _dense(log_score: Tensor, backbone: DDiTBackbone, case: Case, setting: Setting) -> Thunk:
    """The step over all states of all positions, on scores that are there."""
    x = masked_sequences(backbone, case.masked, batch=setting.batch, device=setting.device)
    kind: Literal["euler", "tweedie"] = "tweedie" if case.sampler == "tweedie" else "euler"
    return lambda: dense_step(log_score, x, backbone.process, case.step.t, case.step.s, kind)
