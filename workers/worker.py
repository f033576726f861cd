"""The worker of a run: generates shards, learns, measures and certifies, and leaves each result on the store."""

import time
from dataclasses import dataclass
from functools import lru_cache, partial

from lsd_core.backbones.device import device_kind, place, worker_device
from lsd_core.backbones.imported import name_targets
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.publish import fetch
from lsd_core.candidates.certify import certify
from lsd_core.candidates.equal_tables import find_equal, note_measured
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.one_by_one import measure_one_by_one, write_one_by_one
from lsd_core.candidates.results import Results
from lsd_core.candidates.shared_costs import CostsOnStore
from lsd_core.candidates.spec import SHIPPED, CandidateSpec
from lsd_core.candidates.teacher import calls_a_path, generate_shard
from lsd_core.candidates.tested import shipped_run
from lsd_core.candidates.work import learn, measure, measure_teacher, table_index
from lsd_core.distillation.learned import Kept
from lsd_core.storage.sealed import write_sealed
from lsd_core.storage.store import Store
from lsd_core.trajectories.conditions import read_conditions
from lsd_core.trajectories.read import read_trajectories
from lsd_core.trajectories.types import Trajectories
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard
from workers.jobs import (
    CandidateJob,
    CertifyJob,
    Job,
    LearnJob,
    MeasureJob,
    OneByOneJob,
    ShardJob,
    TeacherJob,
)
from workers.messages import Curve, send
from workers.timing import Done, Spent, Stopwatch


@dataclass(frozen=True, kw_only=True)
class ShardDone:
    """A shard on the store, and its times, which are part of no shard."""

    record: ShardRecord
    generate_s: float
    """In the network and its draws."""
    commit_s: float
    """Encoding and writing."""
    device_kind: str
    """What the worker computed on."""
    spent: Spent | None = None
    """And how much of it was the network."""


class Worker:
    """One per actor, for all jobs of a run: backbones and trajectories are loaded once and kept.

    It computes on the GPU that Ray gave it, else on the CPU. `targets` are import paths of networks that the run's own
    process was given.
    """

    def __init__(self, store_url: str, targets: tuple[str, ...] = ()) -> None:
        name_targets(*targets)
        self.store, self.device = Store(store_url), worker_device()
        self._watch = Stopwatch()
        self._backbone = lru_cache(maxsize=4)(self._load_backbone)
        self._trajectories = lru_cache(maxsize=2)(partial(read_trajectories, self.store))
        self._kept = lru_cache(maxsize=2)(lambda *paths: Kept())

    def run(self, job: Job) -> ShardDone | Done[str]:
        """Do the job; gives its shard, or the key of its result on the store, and what it took."""
        if isinstance(job, ShardJob):
            return self._shard(job)
        if isinstance(job, LearnJob) and (key := self._copied(job)) is not None:
            send(f"{job} before, on this store")
            return Done(result=key, spent=None)
        if isinstance(job, MeasureJob):
            return self._measure(job)
        done = self._watch.time(lambda: self._do(job))
        if done.spent and isinstance(job, LearnJob | CertifyJob | OneByOneJob):  # the long ones
            send(f"{job} in {done.spent.wall_s:.1f} s")
        return done

    def _shard(self, job: ShardJob) -> ShardDone:
        """Make a shard, which is a function of the spec and its number: a worker that dies loses nothing but time."""
        teacher, backbone = job.teacher, self._backbone(job.teacher.backbone_fingerprint)

        def make() -> tuple[ShardRecord, float]:
            begin = time.perf_counter()
            conditions = read_conditions(self.store, teacher.conditions)
            trajectories = generate_shard(backbone, teacher, job.shard, self.device, conditions).to("cpu")
            generate_s = time.perf_counter() - begin
            data = encode_shard(trajectories, teacher)
            return commit_shard(self.store, teacher, job.shard, data), generate_s

        timed = self._watch.time(make)
        assert timed.spent is not None
        (record, generate_s), commit_s = timed.result, timed.spent.wall_s - timed.result[1]
        send(f"{job} of {teacher.backbone} in {generate_s:.1f} s, stored in {commit_s:.1f} s")
        return ShardDone(
            record=record,
            generate_s=generate_s,
            commit_s=commit_s,
            device_kind=device_kind(self.device),
            spent=timed.spent,
        )

    def _do(self, job: CandidateJob) -> str:
        spec, results = job.spec, Results(self.store, job.spec)
        backbone, key = self._backbone(spec.backbone.fingerprint), job.key(results)
        measured_on = read_conditions(self.store, spec.evaluation.conditions)
        match job:
            case LearnJob():
                self._learn(job, backbone, results)
            case CertifyJob():
                table = results.read_learned(job.which)
                certificate = certify(spec, job.which, table, backbone, job.kind, measured_on)
                write_sealed(self.store, key, certificate)
            case TeacherJob():
                paths = self._paths(spec)
                assert paths is not None
                assert spec.teacher is not None
                seed, calls = spec.sampling_seed("report", 0), calls_a_path(spec.teacher)
                measured = measure_teacher(spec.evaluation, paths, backbone, seed, calls)
                if job.only_across:
                    results.write_teacher_across(measured)
                else:
                    results.write_teacher(measured)
            case OneByOneJob():
                found = measure_one_by_one(spec, job.order, job.samples, backbone)
                write_one_by_one(self.store, spec, found)
        return key

    def _copied(self, job: LearnJob) -> str | None:
        """Key of the table, where a candidate that is only measured otherwise has learned it."""
        results = Results(self.store, job.spec)
        learned = results.find_learned(job.which)
        if learned is None:
            return None
        results.write_learned(job.which, learned, copy=False)
        return job.key(results)

    def _measure(self, job: MeasureJob) -> Done[str]:
        """Measure the table of the sampling seed's own learning run, or the one that ships; where an equal table was
        measured on these samples, copy that."""
        spec, results, asked = job.spec, Results(self.store, job.spec), (job.part, job.which, job.temperature)
        learned = results.read_learned(
            shipped_run(results) if job.part == SHIPPED else table_index(spec, job.which)
        )
        found = find_equal(results, *asked, learned.table)
        if found is not None:
            self._write(job, results, found)
            return Done(result=job.key(results), spent=None)

        def make() -> str:
            backbone = self._backbone(spec.backbone.fingerprint)
            conditions = read_conditions(self.store, spec.evaluation.conditions)
            self._write(job, results, measure(spec, *asked, learned, backbone, conditions=conditions))
            note_measured(results, *asked, learned.table)
            return job.key(results)

        return self._watch.time(make)

    def _write(self, job: MeasureJob, results: Results, measured: Measurement) -> None:
        if job.only_across:
            results.write_across(job.part, job.which, measured)
        else:
            results.write_measurement(job.part, job.which, job.temperature, measured)

    def _learn(self, job: LearnJob, backbone: AnyBackbone, results: Results) -> None:
        """Learn and publish a table; its curve is open until the table lies on the store."""
        spec, paths = job.spec, self._paths(job.spec)
        keep = self._kept(spec.backbone.fingerprint, spec.teacher, spec.trajectories)
        given = read_conditions(self.store, spec.teacher.conditions if spec.teacher else None)
        with Curve(key=job.key(results), backbone=spec.backbone.name, title=job.title) as curve:
            costs = CostsOnStore(self.store, spec, keep, send)
            learned = learn(
                spec,
                job.which,
                backbone,
                paths,
                watch=curve,
                keep=keep,
                conditions=given,
                shared_costs=costs,
            )
            results.write_learned(job.which, learned)

    def _paths(self, spec: CandidateSpec) -> Trajectories | None:
        return None if spec.teacher is None else self._trajectories(spec.teacher, spec.trajectories)

    def _load_backbone(self, fingerprint: str) -> AnyBackbone:
        return self._watch.watch(place(fetch(fingerprint, self.store), self.device))
