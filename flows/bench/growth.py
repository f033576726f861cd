"""Benchmark `growth`: how the work beside the network grows with l, V, batch, NFE, trajectories and cells."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import log

import torch

from flows.bench.cases import Case, race, runner
from flows.bench.figures import Figure, Setting
from flows.bench.replay import Replay
from flows.bench.shapes import SHAPES, Shape, random_backbone
from flows.bench.timing import Spread, Thunk
from flows.config import parse_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import run_chains
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import uniform_times
from lsd_core.trajectories.write import encode_shard

TITLE = "the power with which time beside the network grows; 1 is in proportion"
MOST = 1.1
SMALL = Shape(num_tokens=4096, length=128, dim=32, num_blocks=1, num_heads=1, cond_dim=16)
FACTORS = (1, 2, 4)


def ask(setting: Setting) -> list[Figure]:
    """One figure an axis, each axis lengthened twofold and fourfold."""
    axes: dict[str, Mapping[int, Thunk]] = {
        "l, last step": {k: _step(setting, replace(SMALL, length=128 * k)) for k in FACTORS},
        "V, last step": {k: _step(setting, replace(SMALL, num_tokens=4096 * k)) for k in FACTORS},
        "batch, last step": {k: _step(replace(setting, batch=4 * k), SMALL) for k in FACTORS},
        "NFE, a whole sample": {k: _sample(setting, 8 * k) for k in FACTORS},
        "trajectories, encoding a shard": _axis(_shard(64 * FACTORS[-1])),
        "cells, planning a grid": {k: _plan(8 * k) for k in FACTORS},
    }
    return [_figure(name, thunks, setting) for name, thunks in axes.items()]


def _figure(name: str, thunks: Mapping[int, Thunk], setting: Setting) -> Figure:
    """The least-squares slope of log time in log size, each round its own."""
    run = race({str(size): thunk for size, thunk in thunks.items()}, setting)
    sizes = [log(size) for size in thunks]
    rounds = zip(*(run.seconds(str(size)) for size in thunks), strict=True)
    slopes = [slope(sizes, [log(seconds) for seconds in one]) for one in rounds]
    return Figure.of("growth", name, Spread.of(slopes), "power", at_most=MOST)


def slope(x: list[float], y: list[float]) -> float:
    """Of the line of least squares."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def _axis(make: Callable[[int], Thunk]) -> Mapping[int, Thunk]:
    return {factor: make(factor) for factor in FACTORS}


def _step(setting: Setting, shape: Shape) -> Thunk:
    backbone = random_backbone(shape, "sedd", device=setting.device)
    return runner(Replay(backbone), Case(masked=1.0, rest=True), setting)


def _sample(setting: Setting, steps: int) -> Thunk:
    backbone = Replay(random_backbone(SMALL, "sedd", device=setting.device))
    trajectory = torch.arange(setting.batch, device=setting.device)
    return lambda: run_chains(backbone.rewind(), "euler", uniform_times(steps), Draws(0, trajectory))


def _shard(most: int) -> Callable[[int], Thunk]:
    backbone = random_backbone(replace(SHAPES["countdown"], dim=12), "radd")
    with torch.inference_mode():
        paths = first_hitting(backbone, Draws(0, torch.arange(most)))

    def make(factor: int) -> Thunk:
        rows = most // FACTORS[-1] * factor
        spec = teacher_spec(backbone, method="first_hitting", steps=None, batch=1, shard_rows=rows, seed=0)
        return lambda: encode_shard(paths.select(slice(rows)), spec)

    return make


def _plan(budgets: int) -> Thunk:
    config = parse_grid(
        {"backbones": ["countdown"], "nfe": list(range(2, 2 + budgets)), "methods": ["plain", "lsd"]}
    )
    return lambda: make_plan(config)
