"""Cost estimate of a plan: shards, bytes, network calls, hours of a worker."""

import time
from dataclasses import dataclass

import torch

from flows.pipeline.one_by_one import one_by_one_jobs
from flows.pipeline.one_by_one import sequences as one_by_one_sequences
from flows.pipeline.plan import Plan
from lsd_core.backbones.device import device_kind, place, worker_device
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates.certify import certifiable
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.distillation.methods import BASELINE, get_method
from lsd_core.errors import InputError
from lsd_core.samplers.memory import one_call
from lsd_core.storage.store import Store
from lsd_core.trajectories.schema import shard_bytes_at_most
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.throughput import read_rates

MEASURE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class TeacherCost:
    """Trajectories of one backbone."""

    backbone: str
    shards: int
    trajectories: int
    bytes: int
    """On the store, at most."""
    batch: int
    sequences: int
    """Sequences sent through the network."""
    rate: float
    """Sequences a second that one worker sends through the network."""
    source: str
    """Where the rate comes from."""

    @property
    def calls(self) -> int:
        """Network calls, a batch of sequences each."""
        return -(-self.sequences // self.batch)

    @property
    def hours(self) -> float:
        return self.sequences / self.rate / 3600


@dataclass(frozen=True, kw_only=True)
class PlanCost:
    """The whole plan. What a method sends through the network while it learns is in its card, and not here."""

    grid: str
    cells: int
    candidates: int
    computed: int
    """Candidates computed once each: those with equal kernels share."""
    teachers: tuple[TeacherCost, ...]
    measured_sequences: int
    """Sequences through the network for measurements and certificates, at most."""
    measured_calls: int
    measured_hours: float

    @property
    def hours(self) -> float:
        """Hours of one worker with its GPU, or its core."""
        return self.measured_hours + sum(teacher.hours for teacher in self.teachers)


def plan_cost(plan: Plan, store: Store | None = None, rate: float | None = None) -> PlanCost:
    """Count it. A rate (trajectories a second and worker) that is not given is the one measured when such
    trajectories were last made for this store, else that of a few network calls made here and now."""
    if rate is not None and not rate > 0:
        raise InputError("rate", "be trajectories a second, > 0", rate)
    backbones = {backbone.name: backbone for backbone in plan.backbones}
    costs = [
        _teacher_cost(plan, backbones[teacher.backbone], teacher, store, rate) for teacher in plan.teachers
    ]
    rates = {cost.backbone: cost.rate for cost in costs}
    sequences = calls = 0
    hours = 0.0
    for spec in plan.work:
        e = spec.evaluation
        sweep = len(e.temperatures) if get_method(spec.method).sweep else 1
        if get_method(spec.method).needs_paths:  # the table that ships, on the other seeds' samples too
            sweep *= 2
        both = sweep if spec.method == BASELINE else 1
        drawn = (e.samples * sweep + e.selection_samples * both) * e.seeds
        sent = drawn * spec.nfe + (e.certificate_paths * (spec.nfe + 1) if certifiable(spec) else 0)
        sequences += sent
        calls += -(-sent // e.batch)
        hours += sent / rates[spec.backbone.name] / 3600
    for job in one_by_one_jobs(plan):
        sent = one_by_one_sequences(job)
        sequences += sent
        calls += -(-sent // job.spec.evaluation.batch)
        hours += sent / rates[job.spec.backbone.name] / 3600
    return PlanCost(
        grid=plan.config.name,
        cells=len({(s.backbone.fingerprint, s.nfe, s.sampler) for s in plan.candidates}),
        candidates=len(plan.candidates),
        computed=len(plan.work),
        teachers=tuple(costs) if plan.needs_teacher else (),
        measured_sequences=sequences,
        measured_calls=calls,
        measured_hours=hours,
    )


def _teacher_cost(
    plan: Plan, backbone: AnyBackbone, teacher: TeacherSpec, store: Store | None, rate: float | None
) -> TeacherCost:
    shards = teacher.num_shards(plan.config.teacher.trajectories)
    rows, per_path = shards * teacher.shard_rows, calls_a_path(teacher)
    per_s, source = _rate(backbone, teacher, store, rate)
    return TeacherCost(
        backbone=teacher.backbone,
        shards=shards,
        trajectories=rows,
        bytes=shards * shard_bytes_at_most(teacher),
        batch=teacher.batch,
        sequences=rows * per_path,
        rate=per_s,
        source=source,
    )


def _rate(
    backbone: AnyBackbone, teacher: TeacherSpec, store: Store | None, given: float | None
) -> tuple[float, str]:
    """Sequences a second and worker, and where the figure comes from."""
    per_path = max(1, calls_a_path(teacher))
    if given is not None:
        return given * per_path, "given"
    known = [] if store is None else read_rates(store, teacher)
    if known:
        best = max(known, key=lambda rate: rate.per_s)
        return best.per_s * per_path, f"measured on {best.device_kind} by {best.trajectories} trajectories"
    return measured_rate(backbone, teacher.batch)


def measured_rate(backbone: AnyBackbone, batch: int) -> tuple[float, str]:
    """Sequences a second through the network alone, here, on one thread; takes MEASURE_S and one call more."""
    device, threads = worker_device(), torch.get_num_threads()
    placed = place(backbone, device)
    torch.set_num_threads(1)
    try:
        one_call(placed, batch, device).sum().item()  # the first call warms up; reading it waits for a GPU
        begin, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - begin < MEASURE_S:
            one_call(placed, batch, device).sum().item()
            calls += 1
        seconds = time.perf_counter() - begin
    finally:
        torch.set_num_threads(threads)
    return calls * batch / seconds, f"{calls} network calls on this {device_kind(device)}, without the draws"
