"""Teacher trajectories: the shards that a run lacks, and the piece of work that makes and publishes them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.pipeline.scheduler import Piece, Steps, reason_of
from flows.pipeline.site import Site, WorkFailed
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import committed, publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.throughput import Rate, record_rate
from lsd_core.trajectories.write import ShardRecord
from workers.jobs import ShardJob, TeacherJob
from workers.worker import ShardDone


@dataclass(frozen=True)
class Survey:
    """A teacher's shards as they are on the store, every one of them read and hashed."""

    teacher: TeacherSpec
    intact: dict[int, ShardRecord]
    wanted: range

    @staticmethod
    def of(store: Store, teacher: TeacherSpec, wanted: range) -> "Survey":
        """Read and hash the shards of these numbers."""
        return Survey(teacher, committed(store, teacher, wanted), wanted)

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are missing or damaged."""
        return [index for index in self.wanted if index not in self.intact]

    @property
    def jobs(self) -> list[ShardJob]:
        """Those that make them."""
        return [ShardJob(teacher=self.teacher, shard=shard) for shard in self.missing]


def teacher_piece(site: Site, survey: Survey, measured: Sequence[TeacherJob] = ()) -> Piece:
    """The shards that a survey found missing, the manifest, then what the teacher's own sequences score."""
    surveys = iter([survey])

    def begin() -> Steps:
        # What comes after a first try may find a store that has changed.
        now = next(surveys, None) or Survey.of(site.store, survey.teacher, survey.wanted)
        return _steps(site, now, measured)

    return Piece(f"teacher {survey.teacher.backbone}", begin, width=len(survey.missing) + 1, kind="teacher")


def _steps(site: Site, survey: Survey, measured: Sequence[TeacherJob]) -> Steps:
    teacher, tally, records = survey.teacher, Tally(), [*survey.intact.values()]
    for outcome in (yield survey.jobs):
        if outcome.failure is not None:
            raise WorkFailed(
                f"teacher {teacher.backbone} {teacher.hash}: {outcome.item}: {reason_of(outcome.failure)}"
            )
        assert outcome.result is not None
        tally.add(outcome.result)
        records.append(outcome.result.record)
    for rate in tally.rates:
        record_rate(site.store, teacher, rate)
    publish_manifest(site.store, teacher, records)
    site.count("measurements", measured)
    for outcome in (yield site.missing(measured)):
        if outcome.failure is not None:
            raise WorkFailed(f"teacher {teacher.backbone}: its own sequences: {reason_of(outcome.failure)}")
        site.done(outcome.item)


@dataclass
class Tally:
    """Shards delivered so far, and their rate. Running sums: a shard costs the same however many came before."""

    shards: int = 0
    bytes: int = 0
    begin: float = field(default_factory=time.monotonic)
    made: dict[str, tuple[int, float]] = field(default_factory=dict)
    """(trajectories, seconds of a worker) by the hardware that made them."""

    def add(self, done: ShardDone) -> None:
        """Count a shard."""
        rows, seconds = self.made.get(done.device_kind, (0, 0.0))
        took_s = done.generate_s + done.commit_s
        self.made[done.device_kind] = rows + done.record.rows, seconds + took_s
        self.shards += 1
        self.bytes += done.record.bytes

    @property
    def note(self) -> str:
        """For a progress line: trajectories a second of all workers together, bytes, seconds a shard."""
        rows, seconds = (sum(each) for each in zip(*self.made.values(), strict=True))
        per_s = rows / max(time.monotonic() - self.begin, 1e-9)
        return f"{per_s:.3g}/s, {self.bytes / 1e6:.3g} MB, {seconds / self.shards:.3g} s a shard"

    @property
    def rates(self) -> list[Rate]:
        """What one worker makes, by the hardware that made it."""
        return [
            Rate(device_kind=kind, trajectories=rows, seconds=seconds)
            for kind, (rows, seconds) in self.made.items()
        ]
