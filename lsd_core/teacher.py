"""Teachers: what a grid asks of them, and a shard of their trajectories.

A teacher is the backbone's own chain, exact (`first_hitting`) or of N steps, or no network at all: `data` are
sequences from the task's law, revealed in uniform order.
"""

from collections.abc import Callable

import torch

from lsd_core.backbones.catalog import BACKBONES
from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.randomness import Purpose, uniform_grid
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.samplers.stepping import record_steps
from lsd_core.tasks.catalog import TASKS
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import TIME_GRID, Trajectories, concatenate

LAW_VERSION = 1  # moves when a teacher's output would
DATA = "data"
WITHOUT_STEPS = ("first_hitting", DATA)
METHODS = (*WITHOUT_STEPS, "euler", "tweedie")

DataLaw = Callable[[int, torch.Tensor, int, int], torch.Tensor]  # (seed, trajectories, length, num_tokens)


def teacher_spec(
    backbone: Backbone, *, method: str, steps: int | None, batch: int, shard_rows: int, seed: int
) -> TeacherSpec:
    """The spec of a teacher for this backbone: `euler` and `tweedie` take `steps` steps, the others none."""
    if method not in METHODS:
        raise InputError("teacher.method", f"be one of {', '.join(METHODS)}", method)
    if (method in WITHOUT_STEPS) != (steps is None):
        rule = "be left out for first_hitting and data, and given for other methods"
        raise InputError("teacher.steps", rule, steps, "for example method: euler, steps: 1024")
    if method == DATA:
        _data_law(backbone)
    if shard_rows % batch:
        raise InputError("teacher.shard_rows", f"be a multiple of teacher.batch = {batch}", shard_rows)
    return TeacherSpec(
        backbone=backbone.name,
        backbone_fingerprint=backbone.fingerprint,
        process=backbone.process.to_dict(),
        method=method,
        law_version=LAW_VERSION,
        steps=steps,
        time_grid="2^16" if steps is None else "uniform",
        dtype=backbone.config.get("body_dtype", "float64"),
        batch=batch,
        shard_rows=shard_rows,
        length=backbone.length,
        num_tokens=backbone.process.num_tokens,
        seed=seed,
    )


@torch.inference_mode()
def generate_shard(backbone: Backbone, spec: TeacherSpec, shard: int) -> Trajectories:
    """The trajectories of a shard, in batches of `spec.batch`."""
    if backbone.fingerprint != spec.backbone_fingerprint:
        raise InputError(
            "teacher.backbone_fingerprint", f"be {backbone.fingerprint}", spec.backbone_fingerprint
        )
    rows, parts = spec.rows(shard), []
    for first in range(rows.start, rows.stop, spec.batch):
        draws = Draws(spec.seed, torch.arange(first, first + spec.batch))
        if spec.method == DATA:
            parts.append(data_paths(backbone, draws))
        elif spec.steps is None:
            parts.append(first_hitting(backbone, draws))
        else:
            parts.append(record_steps(backbone, spec.method, spec.steps, draws))
    return concatenate(parts)


def data_paths(backbone: Backbone, draws: Draws) -> Trajectories:
    """Data of the backbone's task as paths of the forward chain, run backwards: no network call.

    Reveal times are uniform on the 2^16 grid, independent of the tokens; equal times go by position.
    """
    num_tokens = backbone.process.num_tokens
    x_end = _data_law(backbone)(draws.seed, draws.trajectory, backbone.length, num_tokens)
    uniform = uniform_grid(draws.seed, draws.trajectory, 0, backbone.length, Purpose.TIME)
    ticks = (uniform * TIME_GRID).long()
    order = ticks.argsort(dim=1, descending=True, stable=True)
    return Trajectories(
        index=draws.trajectory,
        num_tokens=num_tokens,
        x_end=x_end,
        reveal_time=ticks,
        rank=order.argsort(dim=1),
    )


def calls_a_path(spec: TeacherSpec) -> int:
    """Network calls that one trajectory costs, at most."""
    return 0 if spec.method == DATA else spec.steps or spec.length


def _data_law(backbone: Backbone) -> DataLaw:
    """How the data of the backbone's task are drawn; InputError for tasks whose law we do not have."""
    entry = BACKBONES.get(backbone.name)
    draw = None if entry is None else TASKS[entry.task].draw
    if draw is None:
        known = [name for name, entry in BACKBONES.items() if TASKS[entry.task].draw is not None]
        rule = f"be `data` only for tasks whose data can be drawn, of the backbones {', '.join(known)}"
        raise InputError("teacher.method", rule, f"data for {backbone.name}")
    return draw
