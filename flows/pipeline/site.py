"""State shared by the pieces of a run: the store, the results on it, counts of what was reused and made."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from flows.pipeline.scheduler import Outcomes, reason_of
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.one_by_one import folder_of, order_of
from lsd_core.candidates.reading import across_key, scores_key
from lsd_core.candidates.results import Results
from lsd_core.candidates.verify import check_cells
from lsd_core.storage.store import Store
from lsd_core.trajectories.prefetch import ahead
from workers.jobs import CandidateJob, Job

Failures = dict[str, str]
"""Why a candidate's work failed, by key of the work."""


class WorkFailed(RuntimeError):
    """A piece of work that ended without its result, tried again as often as that helps."""


@dataclass(frozen=True)
class Counts:
    """Numbers of results of each phase that were reused and that were made."""

    reused: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)

    def add(self, phase: str, *, reused: int = 0, made: int = 0) -> None:
        """Count some."""
        self.reused[phase] = self.reused.get(phase, 0) + reused
        self.made[phase] = self.made.get(phase, 0) + made


@dataclass(frozen=True)
class Site:
    """Facts that matter lie on the store; this spares asking it twice."""

    store: Store
    counts: Counts = field(default_factory=Counts)
    counted: set[str] = field(default_factory=set)
    """Keys of results that `counts` has."""
    alone: frozenset[str] = frozenset()
    """Folders and keys that are listed one by one, where a run is of one cell; else all cells are listed at once."""

    @cached_property
    def present(self) -> set[str]:
        """Keys of candidates' files on the store: those found at first, and those made since."""
        listed = ahead(self.store.list, sorted(self.alone) or ["cells"])
        return {key for keys in listed for key in keys}

    def check(self, specs: Sequence[CandidateSpec], say: Callable[[str], None]) -> None:
        """Read what is there of some candidates; bad files count as missing, so that they are made again."""
        found = check_cells(self.store, places_of(specs), sorted(self.present))
        for key in found.spoiled & self.present:
            self.present.discard(key)
            self.store.memory.forget(key)
            if reason := found.problems.get(key):
                say(f"made again: {reason}")
        measured = {across_key(key) for key in self.present if key.endswith(".json")}
        alone = {key for key in self.present if key.endswith("-across.parquet") and key not in measured}
        self.present.difference_update(alone)  # statistics whose measurement is gone

    def results(self, spec: CandidateSpec) -> Results:
        return Results(self.store, spec)

    def key(self, job: CandidateJob) -> str:
        """Where a job leaves its result."""
        return job.key(self.results(job.spec))

    def missing(self, jobs: Iterable[CandidateJob]) -> list[CandidateJob]:
        """The jobs whose results are not on the store, equal ones once."""
        found = {self.key(job): job for job in jobs}
        return [job for key, job in found.items() if key not in self.present]

    def count(self, phase: str, jobs: Iterable[CandidateJob]) -> None:
        """Count what is there and what is about to be made; each result once a run, however often it is tried."""
        for key in {self.key(job) for job in jobs} - self.counted:
            self.counted.add(key)
            there = key in self.present
            self.counts.add(phase, reused=there, made=not there)

    def done(self, job: CandidateJob) -> None:
        """Remember that a result was made."""
        self.present.add(self.key(job))


def places_of(specs: Sequence[CandidateSpec]) -> frozenset[str]:
    """Folders and keys in `cells` where what is made for candidates lies."""
    places = {folder for spec in specs for folder in (spec.folder, spec.work.folder)}
    for spec in specs:
        if spec.teacher is not None:
            own = Results(Store("nowhere"), spec)
            places |= {own.teacher_key, own.teacher_across_key, scores_key(own.teacher_key)}
        if (order := order_of(spec)) is not None:
            places.add(folder_of(spec, order))
    return frozenset(places)


def have_done(
    site: Site, failures: Failures, phase: str, jobs: Sequence[CandidateJob]
) -> Generator[Sequence[Job], Outcomes, None]:
    """Steps of a piece: have done what is not on the store yet; why jobs failed goes to `failures`."""
    site.count(phase, jobs)
    for outcome in (yield site.missing(jobs)):
        if outcome.failure is None:
            site.done(outcome.item)
        else:
            failures.setdefault(outcome.item.spec.work.key, reason_of(outcome.failure))
