"""The worker of a run: generates shards, learns, measures and certifies, and leaves each result on the store."""

from functools import lru_cache

from lsd_core.backbones.device import place, worker_device
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.publish import fetch
from lsd_core.candidates.certify import certify
from lsd_core.candidates.results import Results
from lsd_core.candidates.spec import SHIPPED, CandidateSpec
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.candidates.tested import shipped_run
from lsd_core.candidates.work import learn, measure, measure_teacher, table_index
from lsd_core.distillation.learned import Kept
from lsd_core.storage.sealed import write_sealed
from lsd_core.storage.store import Store
from lsd_core.trajectories.read import read_trajectories
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import Trajectories
from workers.jobs import CandidateJob, CertifyJob, Job, LearnJob, MeasureJob, ShardJob, TeacherJob
from workers.messages import Curve, tell
from workers.shards import ShardDone, make_shard
from workers.timing import Done, Stopwatch


class Worker:
    """One per actor, for all jobs of a run: backbones and trajectories are loaded once and kept.

    It computes on the GPU that Ray gave it, else on the CPU.
    """

    def __init__(self, store_url: str) -> None:
        self.store, self.device = Store(store_url), worker_device()
        self._watch = Stopwatch()
        self._backbone = lru_cache(maxsize=4)(self._load_backbone)
        self._trajectories = lru_cache(maxsize=2)(self._load_trajectories)
        self._kept = lru_cache(maxsize=2)(lambda *paths: Kept())

    def run(self, job: Job) -> ShardDone | Done[str]:
        """Do the job; gives its shard, or the key of its result on the store, and what it took."""
        if isinstance(job, ShardJob):
            return self._shard(job)
        done = self._watch.time(lambda: self._do(job))
        if isinstance(job, LearnJob | CertifyJob):  # the long ones; measurements are many
            tell(f"{job} in {done.spent.wall_s:.1f} s")
        return done

    def _shard(self, job: ShardJob) -> ShardDone:
        backbone = self._backbone(job.teacher.backbone_fingerprint)
        done = make_shard(job, backbone, self.store, self.device, self._watch)
        took = f"in {done.generate_s:.1f} s, stored in {done.commit_s:.1f} s"
        tell(f"{job} of {job.teacher.backbone} {took}")
        return done

    def _do(self, job: CandidateJob) -> str:
        spec, results = job.spec, Results(self.store, job.spec)
        backbone, key = self._backbone(spec.backbone.fingerprint), job.key(results)
        match job:
            case LearnJob():
                paths = self._paths(spec)
                with Curve(key=key, backbone=spec.backbone.name, title=job.title) as curve:
                    keep = self._kept(spec.backbone.fingerprint, spec.teacher, spec.trajectories)
                    learned = learn(spec, job.which, backbone, paths, watch=curve, keep=keep)
                    results.write_learned(job.which, learned)
            case MeasureJob():
                number = shipped_run(results) if job.part == SHIPPED else table_index(spec, job.which)
                table = results.read_learned(number)
                measured = measure(spec, job.part, job.which, job.temperature, table, backbone)
                if job.only_across:
                    results.write_across(job.part, job.which, measured)
                else:
                    results.write_measurement(job.part, job.which, job.temperature, measured)
            case CertifyJob():
                certificate = certify(spec, job.which, results.read_learned(job.which), backbone, job.kind)
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
        return key

    def _paths(self, spec: CandidateSpec) -> Trajectories | None:
        return None if spec.teacher is None else self._trajectories(spec.teacher, spec.trajectories)

    def _load_backbone(self, fingerprint: str) -> AnyBackbone:
        return self._watch.watch(place(fetch(fingerprint, self.store), self.device))

    def _load_trajectories(self, teacher: TeacherSpec, limit: int | None) -> Trajectories:
        return read_trajectories(self.store, teacher, limit)
