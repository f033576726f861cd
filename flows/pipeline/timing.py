"""Where a run's time goes: stage by stage, how much of its workers' time was inside network calls."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workers.timing import Spent

FILE = "timing.json"


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


@dataclass
class Ledger:
    """The stages of a run in order."""

    stages: dict[str, Stage] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, workers: int = 0) -> Iterator["Entry"]:
        """Times a stage, whose jobs are handed to the entry as they come back."""
        stage = self.stages.setdefault(name, Stage())
        stage.workers = max(stage.workers, workers)
        entry, begin = Entry(stage, time.time()), time.perf_counter()
        try:
            yield entry
        finally:
            stage.wall_s += time.perf_counter() - begin
            stage.start_up_s += entry.start_up_s

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

    def write(self, folder: Path) -> None:
        """Leave it beside the report."""
        wall, cpu = self.outside()
        record = {
            "outside_network": {"wall": wall, "cpu": cpu},
            "stages": {name: asdict(stage) for name, stage in self.stages.items()},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(record, indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> "Ledger":
        """What `write` left."""
        record = json.loads((folder / FILE).read_text())
        return Ledger({name: Stage(**stage) for name, stage in record["stages"].items()})


@dataclass
class Entry:
    """A stage under way."""

    stage: Stage
    entered: float
    first: float | None = None

    @property
    def start_up_s(self) -> float:
        """From its beginning to its first job's; clocks of other machines may disagree, so never below 0."""
        return 0.0 if self.first is None else max(0.0, self.first - self.entered)

    def add(self, spent: Spent) -> None:
        """Count a job."""
        self.first = spent.began if self.first is None else min(self.first, spent.began)
        self.stage.jobs += 1
        self.stage.busy_s += spent.wall_s
        self.stage.network_s += spent.network_s
        self.stage.cpu_s += spent.cpu_s
        self.stage.network_cpu_s += spent.network_cpu_s
