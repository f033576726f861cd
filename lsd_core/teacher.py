"""Teachers: what a grid asks of them, and a shard of their trajectories."""

import torch

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.samplers.stepping import record_steps
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import Trajectories, concatenate

LAW_VERSION = 1  # moves when a teacher's output would
METHODS = ("first_hitting", "euler", "tweedie")


def teacher_spec(
    backbone: Backbone, *, method: str, steps: int | None, batch: int, shard_rows: int, seed: int
) -> TeacherSpec:
    """The spec of a teacher for this backbone: `first_hitting` is exact, the others take `steps` steps."""
    if method not in METHODS:
        raise InputError("teacher.method", f"be one of {', '.join(METHODS)}", method)
    if (method == "first_hitting") != (steps is None):
        rule = "be left out for first_hitting and given for other methods"
        raise InputError("teacher.steps", rule, steps, "for example method: euler, steps: 1024")
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
        if spec.steps is None:
            parts.append(first_hitting(backbone, draws))
        else:
            parts.append(record_steps(backbone, spec.method, spec.steps, draws))
    return concatenate(parts)
