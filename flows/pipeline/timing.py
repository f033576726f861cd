"""Wall and CPU time of a run by stage and by candidate: kept beside its report, in no card, since machines differ."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsd_core.numerics.plain_text import parse_json
from workers.jobs import Job, LearnJob, MeasureJob
from workers.timing import Spent

STAGES_FILE, CANDIDATES_FILE = "timing.json", "seconds.json"


@dataclass
class Stage:
    """Seconds of one stage of a run."""

    wall_s: float = 0.0
    start_up_s: float = 0.0
    """Of those, before the first job began: workers being started."""
    workers: int = 0
    """That had jobs; 0 for a stage of the driver's own."""
    jobs: int = 0
    busy_s: float = 0.0
    """Of all workers together."""
    network_s: float = 0.0
    """Of those, inside network calls."""
    cpu_s: float = 0.0
    network_cpu_s: float = 0.0

    def add(self, spent: Spent) -> None:
        """Count a job."""
        self.jobs += 1
        self.busy_s += spent.wall_s
        self.network_s += spent.network_s
        self.cpu_s += spent.cpu_s
        self.network_cpu_s += spent.network_cpu_s


@dataclass
class Took:
    """One candidate's seconds on one worker, and what they were spent on."""

    learning_s: float = 0.0
    tables: int = 0
    drawing_s: float = 0.0
    """Judging included."""
    sequences: int = 0

    @property
    def a_table_s(self) -> float | None:
        """Seconds to learn once; None where nothing was learned under this clock."""
        return self.learning_s / self.tables if self.tables else None

    @property
    def a_thousand_s(self) -> float | None:
        """Seconds to draw and judge 1000 samples."""
        return 1000 * self.drawing_s / self.sequences if self.sequences else None


@dataclass
class Timing:
    """The stages of a run in order, and its candidates by key of their work."""

    stages: dict[str, Stage] = field(default_factory=dict)
    candidates: dict[str, Took] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a stage of the driver's own."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.stages.setdefault(name, Stage()).wall_s += time.perf_counter() - begin

    @contextmanager
    def pool(self, workers: int) -> Iterator["PoolTiming"]:
        """Times a pool whose jobs are of several stages at once: they share its wall time as they keep it busy."""
        pool, begin = PoolTiming(self), time.perf_counter()
        try:
            yield pool
        finally:
            pool.share(time.perf_counter() - begin, workers)

    def add(self, job: Job, spent: Spent) -> None:
        """Count what a job took of its candidate."""
        if isinstance(job, LearnJob | MeasureJob):
            took = self.candidates.setdefault(job.spec.work.key, Took())
            if isinstance(job, LearnJob):
                took.learning_s += spent.wall_s
                took.tables += 1
            else:
                took.drawing_s += spent.wall_s
                took.sequences += job.spec.evaluation.samples_of(job.part)

    def outside(self) -> tuple[float, float]:
        """Shares outside network calls: of the workers' wall time after start-up, and of their own CPU time."""
        stages = list(self.stages.values())
        workers = max((stage.workers for stage in stages), default=0)
        room = workers * sum(stage.wall_s - stage.start_up_s for stage in stages)
        cpu = sum(stage.cpu_s for stage in stages)
        network, network_cpu = (
            sum(getattr(s, name) for s in stages) for name in ("network_s", "network_cpu_s")
        )
        return (1 - network / room if room else 0.0, 1 - network_cpu / cpu if cpu else 0.0)

    def write_stages(self, folder: Path) -> None:
        """Leave the stages beside the report."""
        wall, cpu = self.outside()
        stages = {name: asdict(stage) for name, stage in self.stages.items()}
        _write(folder / STAGES_FILE, {"outside_network": {"wall": wall, "cpu": cpu}, "stages": stages})

    def write_candidates(self, folder: Path) -> None:
        """Leave the candidates there, with what earlier runs left of those that this one did not touch."""
        known = _read_candidates(folder / CANDIDATES_FILE) | self.candidates
        _write(folder / CANDIDATES_FILE, {key: asdict(took) for key, took in sorted(known.items())})

    @staticmethod
    def read(folder: Path) -> "Timing":
        """The stages that were left in a folder."""
        record = json.loads((folder / STAGES_FILE).read_text())
        return Timing({name: Stage(**stage) for name, stage in record["stages"].items()})


@dataclass
class PoolTiming:
    """A pool at work."""

    timing: Timing
    mine: dict[str, Stage] = field(default_factory=dict)
    entered: float = field(default_factory=time.time)
    first: float | None = None

    def add(self, stage: str, job: Job, spent: Spent) -> None:
        """Count a job that is done."""
        self.first = spent.began if self.first is None else min(self.first, spent.began)
        self.mine.setdefault(stage, Stage()).add(spent)
        self.timing.stages.setdefault(stage, Stage()).add(spent)
        self.timing.add(job, spent)

    def share(self, wall_s: float, workers: int) -> None:
        """Give each stage its part of the pool's wall time and of its start-up; clocks of other machines may
        disagree, so that is never below 0."""
        start_up_s = 0.0 if self.first is None else max(0.0, self.first - self.entered)
        busy_s = sum(stage.busy_s for stage in self.mine.values())
        for name, mine in self.mine.items():
            part = mine.busy_s / busy_s if busy_s else 1 / len(self.mine)
            stage = self.timing.stages[name]
            stage.wall_s += part * wall_s
            stage.start_up_s += part * start_up_s
            stage.workers = max(stage.workers, workers)


def seconds_under(reports: Path) -> Mapping[str, Took]:
    """What all grids' runs left of candidates under the folder of reports, by key of the work."""
    paths = sorted(reports.glob(f"*/{CANDIDATES_FILE}"))
    return {key: took for path in paths for key, took in _read_candidates(path).items()}


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")


def _read_candidates(path: Path) -> dict[str, Took]:
    """A file of seconds; a missing or damaged one tells nothing."""
    try:
        found = {key: Took(**record) for key, record in parse_json(path.read_bytes(), str(path)).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {
        key: took for key, took in found.items() if all(type(n) in (int, float) for n in vars(took).values())
    }
