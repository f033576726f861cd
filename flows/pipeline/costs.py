"""Cost estimate of a plan: shards, bytes, network calls, memory and hours of a worker."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from flows.pipeline.one_by_one import one_by_one_jobs
from flows.pipeline.one_by_one import sequences as one_by_one_sequences
from flows.pipeline.plan import Plan
from lsd_core.backbones.device import device_kind, device_of, place, worker_device
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates.certify import certifiable
from lsd_core.candidates.memory import WorkerMemory, worker_memory
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.distillation.alignment_config import AlignmentConfig
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
    rate: float | None
    """Sequences a second that one worker sends through the network; None where nothing says it."""
    source: str
    """Where the rate comes from."""

    @property
    def calls(self) -> int:
        """Network calls, a batch of sequences each."""
        return -(-self.sequences // self.batch)

    @property
    def hours(self) -> float | None:
        return _hours({self.backbone: self.sequences}, {self.backbone: self.rate})

    def hours_of(self, workers: int) -> float | None:
        """With so many workers, each at whole shards."""
        rounds = -(-self.shards // workers)
        return None if self.hours is None else self.hours * rounds / max(1, self.shards)


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
    measured_hours: float | None
    memory: Mapping[str, WorkerMemory]
    """What a worker holds of each backbone."""

    @property
    def hours(self) -> float | None:
        """Hours of one worker with its GPU, or its core."""
        return self.hours_of(1)

    def hours_of(self, workers: int) -> float | None:
        """Hours of so many: a shard is one worker's, and measurements and certificates are shared evenly."""
        parts = [teacher.hours_of(workers) for teacher in self.teachers]
        parts.append(None if self.measured_hours is None else self.measured_hours / workers)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def plan_cost(
    plan: Plan, store: Store | None = None, rate: float | None = None, flops_per_s: float | None = None
) -> PlanCost:
    """Count it. A rate (trajectories a second and worker) that is not given follows from the operations a second
    that are, else is the one measured when such trajectories were last made for this store, else that of a few
    network calls made here and now, where the weights are at hand."""
    if rate is not None and not rate > 0:
        raise InputError("rate", "be trajectories a second, > 0", rate)
    if flops_per_s is not None and not flops_per_s > 0:
        raise InputError("flops-per-s", "be floating-point operations a second, > 0", flops_per_s)
    backbones = {backbone.name: backbone for backbone in plan.backbones}
    costs = [
        _teacher_cost(plan, backbones[teacher.backbone], teacher, store, rate, flops_per_s)
        for teacher in plan.teachers
    ]
    sent_by, calls = dict[str, int](), 0
    for spec in plan.work:
        e = spec.evaluation
        sweep = len(e.temperatures) if get_method(spec.method).sweep else 1
        if get_method(spec.method).needs_paths:  # the table that ships, on the other seeds' samples too
            sweep *= 2
        both = sweep if spec.method == BASELINE else 1
        drawn = (e.samples * sweep + e.selection_samples * both) * e.seeds
        sent = drawn * spec.nfe + (e.certificate_paths * (spec.nfe + 1) if certifiable(spec) else 0)
        sent_by[spec.backbone.name] = sent_by.get(spec.backbone.name, 0) + sent
        calls += -(-sent // e.batch)
    for job in one_by_one_jobs(plan):
        sent = one_by_one_sequences(job)
        sent_by[job.spec.backbone.name] += sent
        calls += -(-sent // job.spec.evaluation.batch)
    aligned = {
        spec.backbone.name
        for spec in plan.work
        if issubclass(get_method(spec.method).config_class, AlignmentConfig)
    }
    kind = "cuda" if plan.config.num_gpus else "cpu"
    batch = {teacher.backbone: max(teacher.batch, plan.config.evaluation.batch) for teacher in plan.teachers}
    return PlanCost(
        grid=plan.config.name,
        cells=len({(s.backbone.fingerprint, s.nfe, s.sampler) for s in plan.candidates}),
        candidates=len(plan.candidates),
        computed=len(plan.work),
        teachers=tuple(costs) if plan.needs_teacher else (),
        measured_sequences=sum(sent_by.values()),
        measured_calls=calls,
        measured_hours=_hours(sent_by, {cost.backbone: cost.rate for cost in costs}),
        memory={
            name: worker_memory(backbones[name], batch[name], kind, aligns=name in aligned) for name in batch
        },
    )


def _hours(sent: Mapping[str, int], rates: Mapping[str, float | None]) -> float | None:
    """Hours of one worker for so many sequences of each backbone; None where a rate is not known."""
    hours = 0.0
    for name, sequences in sent.items():
        rate = rates[name]
        if rate is None:
            return None
        hours += sequences / rate / 3600
    return hours


def _teacher_cost(
    plan: Plan,
    backbone: AnyBackbone,
    teacher: TeacherSpec,
    store: Store | None,
    rate: float | None,
    flops_per_s: float | None,
) -> TeacherCost:
    shards = teacher.num_shards(plan.config.teacher.trajectories)
    rows, per_path = shards * teacher.shard_rows, calls_a_path(teacher)
    per_s, source = _rate(backbone, teacher, store, rate, flops_per_s)
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
    backbone: AnyBackbone,
    teacher: TeacherSpec,
    store: Store | None,
    given: float | None,
    flops_per_s: float | None,
) -> tuple[float | None, str]:
    """Sequences a second and worker, and where the figure comes from."""
    per_path = max(1, calls_a_path(teacher))
    if given is not None:
        return given * per_path, "given"
    if flops_per_s is not None:
        parameters = sum(tensor.numel() for tensor in backbone.tensors().values())
        each = 2 * parameters * backbone.length
        return (
            flops_per_s / each,
            f"{flops_per_s:.3g} operations a second, 2 x parameters x tokens a sequence",
        )
    known = [] if store is None else read_rates(store, teacher)
    if known:
        best = max(known, key=lambda rate: rate.per_s)
        return best.per_s * per_path, f"measured on {best.device_kind} by {best.trajectories} trajectories"
    if device_of(backbone).type == "meta":
        return None, "not known without its weights: name --rate or --flops-per-s"
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
