"""The first phase of a run: the trajectories of its teachers, made where they are missing."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, field

from flows.config import GridConfig
from flows.pipeline.plan import make_plan
from flows.pipeline.progress import Progress, listener
from flows.pipeline.retries import failure_may_pass
from flows.pipeline.run import Run
from flows.settings import Settings
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import committed, publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.throughput import Rate, record_rate
from lsd_core.trajectories.write import ShardRecord
from workers.pool import Pool
from workers.session import ray_session, workers_for
from workers.teacher import ShardDone, TeacherWorker


def make_trajectories(config: GridConfig, settings: Settings, progress: Progress) -> Run:
    """The trajectories of every backbone of a grid and nothing else, so that a later grid finds them ready."""
    run = Run(make_plan(config, Store(settings.store)), settings, progress)
    run.store.check()
    for backbone in run.plan.backbones:
        publish(backbone, run.store)
    teachers = [teacher for teacher in run.plan.teachers if lacks(run, teacher)]
    session = ray_session(settings.ray_address, num_cpus=config.workers, hear=listener(progress))
    with session if teachers else nullcontext():
        for teacher in run.plan.teachers:
            generate_teacher(run, teacher)
    return run


class TeacherFailedError(RuntimeError):
    """No trajectories, so nothing can be learned."""

    def __init__(self, message: str, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def generate_teacher(run: Run, teacher: TeacherSpec) -> None:
    """Make the shards that are missing, then publish the manifest."""
    records = intact_shards(run, teacher)
    run.surveys.pop(teacher.hash)  # what follows may fail and be tried again, on a store that has changed
    missing = [index for index in _wanted(run, teacher) if index not in records]
    run.count("shards", reused=len(records), made=len(missing))
    made = _generate(run, teacher, missing) if missing else []
    publish_manifest(run.store, teacher, [*records.values(), *made])


def lacks(run: Run, teacher: TeacherSpec) -> bool:
    """Whether a shard that the run asks for is missing or damaged."""
    return len(intact_shards(run, teacher)) < len(_wanted(run, teacher))


def intact_shards(run: Run, teacher: TeacherSpec) -> dict[int, ShardRecord]:
    """The shards that the run asks for and that are there, every one read and hashed, once a run."""
    if teacher.hash not in run.surveys:
        run.surveys[teacher.hash] = committed(run.store, teacher, _wanted(run, teacher))
    return run.surveys[teacher.hash]


def _wanted(run: Run, teacher: TeacherSpec) -> range:
    return range(teacher.num_shards(run.plan.config.teacher.trajectories))


def _generate(run: Run, teacher: TeacherSpec, missing: list[int]) -> list[ShardRecord]:
    """Have shards made by a pool; each is on the store when its worker says so."""
    num_gpus = run.plan.config.num_gpus
    workers = run.plan.config.workers or workers_for(len(missing), num_gpus=num_gpus)
    tally, title = Tally(), f"teacher {teacher.backbone}"
    with (
        run.progress.phase(title, len(missing) * teacher.shard_rows, "trajectories") as advance,
        run.ledger.stage(title, min(workers, len(missing))) as entry,
        Pool[int, ShardDone](
            TeacherWorker,
            (run.settings.store, teacher.to_dict()),
            num_workers=min(workers, len(missing)),
            num_gpus=num_gpus,
        ) as pool,
    ):
        for outcome in pool.map(missing):
            if outcome.failure is not None or outcome.result is None:
                reason = f"shard {outcome.item}: {outcome.failure}"
                passing = outcome.failure is not None and failure_may_pass(outcome.failure.kind)
                raise TeacherFailedError(f"teacher {teacher.backbone} {teacher.hash}: {reason}", passing)
            tally.add(outcome.result)
            if outcome.result.spent is not None:
                entry.add(outcome.result.spent)
            advance(teacher.shard_rows, tally.note)
    for rate in tally.rates:
        record_rate(run.store, teacher, rate)
    return [done.record for done in tally.done]


@dataclass
class Tally:
    """What a pool has delivered so far, and how fast."""

    done: list[ShardDone] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    def add(self, shard: ShardDone) -> None:
        self.done.append(shard)

    @property
    def note(self) -> str:
        """For a progress line: trajectories a second of all workers together, bytes, seconds a shard."""
        rows = sum(shard.record.rows for shard in self.done)
        size = sum(shard.record.bytes for shard in self.done)
        each = sum(shard.generate_s + shard.commit_s for shard in self.done) / len(self.done)
        per_s = rows / max(time.monotonic() - self.begin, 1e-9)
        return f"{per_s:.3g}/s, {size / 1e6:.3g} MB, {each:.3g} s a shard"

    @property
    def rates(self) -> list[Rate]:
        """What one worker makes, by the hardware that made it."""
        by_kind: dict[str, list[ShardDone]] = {}
        for shard in self.done:
            by_kind.setdefault(shard.device_kind, []).append(shard)
        return [
            Rate(
                device_kind=kind,
                trajectories=sum(shard.record.rows for shard in shards),
                seconds=sum(shard.generate_s + shard.commit_s for shard in shards),
            )
            for kind, shards in by_kind.items()
        ]
