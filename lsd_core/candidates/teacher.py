"""Teachers: what a grid asks of them, and a shard of their trajectories.

A teacher is the backbone's own chain, exact or of N steps, or no network at all: `data` are sequences from the
task's distribution, corrupted by the forward chain and read backwards.
"""

from collections.abc import Callable
from itertools import pairwise

import torch

from lsd_core.backbones.catalog import BACKBONES
from lsd_core.backbones.protocol import AnyBackbone, DenseBackbone, is_dense
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import process_from_dict
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.full import growth_between
from lsd_core.samplers.recording import expected_calls, node_times, record_exact, record_states, record_steps
from lsd_core.samplers.state import Draws
from lsd_core.tasks.catalog import TASKS
from lsd_core.trajectories.conditions import Conditions
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import TIME_GRID, Trajectories, concatenate

LAW_VERSION = 1  # moves when a teacher's output would
DATA, EXACT = "data", "exact"
FIRST_HITTING, UNIFORMISATION = "first_hitting", "uniformisation"  # what `exact` means, by process

DrawData = Callable[[int, torch.Tensor, int, int], torch.Tensor]  # (seed, trajectories, length, num_tokens)


def teacher_spec(
    backbone: AnyBackbone,
    *,
    method: str,
    steps: int | None,
    batch: int,
    shard_rows: int,
    seed: int,
    nodes: int = 64,
    conditions: Conditions | None = None,
) -> TeacherSpec:
    """The spec of a teacher for this backbone: base samplers take `steps` steps, `exact` and `data` none.

    `nodes` is the number of times at which states are kept where the process has no mask.
    """
    dense = is_dense(backbone)
    exact = UNIFORMISATION if dense else FIRST_HITTING
    method = exact if method == EXACT else method
    stepped = [name for name, each in SAMPLERS.items() if backbone.process.kind in each.teacher]
    known = (EXACT, exact, DATA, *stepped)
    if method not in known:
        raise InputError("teacher.method", f"be one of {', '.join(known)}", method)
    if (method in stepped) == (steps is None):
        rule = "be left out for exact and data, and given for other methods"
        raise InputError("teacher.steps", rule, steps, f"for example method: {stepped[0]}, steps: 1024")
    if dense and steps is not None and steps % nodes:
        raise InputError("teacher.steps", f"be a multiple of teacher.nodes = {nodes}", steps)
    if method == DATA:
        _data_draw(backbone)
        if conditions is not None:
            rule = "draw from the network where tokens are given"
            raise InputError("teacher.method", rule, DATA, "choose exact, or a base sampler with its steps")
    if shard_rows % batch:
        raise InputError("teacher.shard_rows", f"be a multiple of teacher.batch = {batch}", shard_rows)
    return TeacherSpec(
        backbone=backbone.name,
        backbone_fingerprint=backbone.fingerprint,
        process=backbone.process.to_dict(),
        method=method,
        law_version=LAW_VERSION,
        steps=steps,
        time_grid=f"states-{nodes}" if dense else "2^16" if steps is None else "uniform",
        dtype=backbone.config.get("body_dtype", "float64"),
        batch=batch,
        shard_rows=shard_rows,
        length=backbone.length,
        num_tokens=backbone.process.num_tokens,
        seed=seed,
        conditions=None if conditions is None else conditions.record,
    )


@torch.inference_mode()
def generate_shard(
    backbone: AnyBackbone,
    spec: TeacherSpec,
    shard: int,
    device: torch.device | str = "cpu",
    conditions: Conditions | None = None,
) -> Trajectories:
    """The trajectories of a shard, in batches of `spec.batch`, on the device that holds the backbone.

    `conditions` are those that the spec names.
    """
    if (None if conditions is None else conditions.record) != spec.conditions:
        raise InputError("conditions", "be those of the teacher", conditions and conditions.record)
    if backbone.fingerprint != spec.backbone_fingerprint:
        raise InputError(
            "teacher.backbone_fingerprint", f"be {backbone.fingerprint}", spec.backbone_fingerprint
        )
    rows, parts = spec.rows(shard), []
    for first in range(rows.start, rows.stop, spec.batch):
        draws = Draws(spec.seed, torch.arange(first, first + spec.batch, device=device))
        given = None if conditions is None else conditions.at(spec.seed, draws.trajectory)
        if is_dense(backbone):
            parts.append(_dense_paths(backbone, spec, draws))
        elif spec.method == DATA:
            parts.append(data_paths(backbone, draws))
        elif spec.steps is None:
            parts.append(first_hitting(backbone, draws, given))
        else:
            parts.append(record_steps(backbone, spec.method, spec.steps, draws, given))
    return concatenate(parts)


def _dense_paths(backbone: DenseBackbone, spec: TeacherSpec, draws: Draws) -> Trajectories:
    """One batch of paths where the process has no mask."""
    assert spec.num_nodes is not None
    if spec.method == DATA:
        return noised_data(backbone, spec.num_nodes, draws)
    if spec.steps is None:
        return record_exact(backbone, spec.num_nodes, draws)
    return record_states(backbone, spec.method, spec.steps, spec.num_nodes, draws)


def noised_data(backbone: DenseBackbone, num_nodes: int, draws: Draws) -> Trajectories:
    """Data of the backbone's task, carried forward by the process from node to node: no network call."""
    process, length = backbone.process, backbone.length
    x = x_end = _data_draw(backbone)(draws.seed, draws.trajectory, length, process.num_tokens)
    states = []
    for call, (s, t) in enumerate(pairwise((0.0, *reversed(node_times(num_nodes))))):
        probs = process.transition(growth_between(process, t, s)).to(x.device)[x]
        uniform = uniform_grid(draws.seed, draws.trajectory, call, length, Purpose.TOKEN)
        x = draw_categorical(probs.flatten(0, 1), uniform.flatten()).view(x.shape)
        states.append(x)
    return Trajectories(
        index=draws.trajectory,
        num_tokens=process.num_tokens,
        x_end=x_end,
        states=torch.stack(states[::-1], dim=1),
    )


def data_paths(backbone: AnyBackbone, draws: Draws) -> Trajectories:
    """Data of the backbone's task as paths of the forward chain, run backwards: no network call.

    Reveal times are uniform on the 2^16 grid, independent of the tokens; equal times go by position.
    """
    num_tokens = backbone.process.num_tokens
    x_end = _data_draw(backbone)(draws.seed, draws.trajectory, backbone.length, num_tokens)
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
    """Network calls that one trajectory costs: at most or, for uniformisation, on average."""
    if spec.method == DATA:
        return 0
    if spec.method == UNIFORMISATION:
        assert spec.num_nodes is not None
        return expected_calls(process_from_dict(dict(spec.process)), spec.length, spec.num_nodes)
    return spec.steps or spec.most_free


def _data_draw(backbone: AnyBackbone) -> DrawData:
    """How the data of the backbone's task are drawn; InputError for tasks whose data cannot be drawn."""
    entry = BACKBONES.get(backbone.name)
    scattered = "positions" in backbone.config  # data are drawn from left to right
    draw = None if entry is None or scattered else TASKS[entry.task].draw
    if draw is None:
        known = [
            name
            for name, entry in BACKBONES.items()
            if TASKS[entry.task].draw is not None and name != backbone.name
        ]
        rule = f"be `data` only for tasks whose data can be drawn, of the backbones {', '.join(known)}"
        raise InputError("teacher.method", rule, f"data for {backbone.name}")
    return draw
