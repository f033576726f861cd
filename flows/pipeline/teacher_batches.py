"""The batch size of a teacher: the grid's, else what the memory holds; resolved once, then frozen on the store.

A machine with other memory that runs the grid again finds the first answer, and so the shards that are there.
"""

from dataclasses import replace

from flows.config import TeacherConfig
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.machine import cores, memory_bytes
from lsd_core.samplers.memory import resolve_batch
from lsd_core.storage.damage import unless_damaged
from lsd_core.storage.sealed import read_sealed, write_sealed
from lsd_core.storage.store import Store
from lsd_core.trajectories.conditions import Conditions
from lsd_core.trajectories.spec import TeacherSpec


def planned_teacher(
    backbone: AnyBackbone,
    section: TeacherConfig,
    store: Store | None,
    conditions: Conditions | None = None,
) -> TeacherSpec:
    """The teacher that a grid asks for; without a store an open batch is resolved and not frozen."""
    spec = teacher_spec(
        backbone,
        method=section.method,
        steps=section.steps,
        nodes=section.nodes,
        batch=section.batch or 1,
        shard_rows=section.shard_rows,
        seed=section.seed,
        conditions=conditions,
    )
    if section.batch is not None:
        return spec
    memory = int(section.memory_gib * 2**30) if section.memory_gib else worker_memory_bytes()
    key = f"plans/batch-{digest({**spec.to_dict(), 'batch': None})[:16]}.json"
    frozen = None if store is None else _read(store, key)
    if frozen is None:
        frozen = resolve_batch(backbone, spec.method, spec.shard_rows, memory)
        if store is not None:
            write_sealed(store, key, {"batch": frozen, "memory_bytes": memory, "backbone": spec.backbone})
            frozen = _read(store, key) or frozen  # another driver's answer, where two plan at once
    return replace(spec, batch=frozen)


def worker_memory_bytes() -> int:
    """A core's share of this machine's memory: the default of a worker."""
    return memory_bytes() // cores()


def _read(store: Store, key: str) -> int | None:
    """The batch that was frozen; None where there is none, or a damaged one."""
    record = unless_damaged(lambda: read_sealed(store, key), None)
    batch = None if record is None else record.get("batch")
    return batch if type(batch) is int and batch >= 1 else None
