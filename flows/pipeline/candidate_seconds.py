"""What candidates took on the clock: kept beside the reports and in no card, since every machine has its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lsd_core.candidates import CandidateSpec
from workers.jobs import Job, LearnJob, MeasureJob
from workers.timing import Spent

FILE = "seconds.json"


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
class Clock:
    """By key of the candidate's work."""

    took: dict[str, Took] = field(default_factory=dict)

    def add(self, spec: CandidateSpec, job: Job, spent: Spent) -> None:
        """Count a job that was done."""
        took = self.took.setdefault(spec.work.key, Took())
        if isinstance(job, LearnJob):
            took.learning_s += spent.wall_s
            took.tables += 1
        elif isinstance(job, MeasureJob):
            took.drawing_s += spent.wall_s
            took.sequences += spec.evaluation.samples_of(job.part)

    def write(self, folder: Path) -> None:
        """Leave it beside a report, with what earlier runs left for candidates that this one did not touch."""
        folder.mkdir(parents=True, exist_ok=True)
        record = {key: asdict(took) for key, took in sorted({**_read(folder / FILE), **self.took}.items())}
        (folder / FILE).write_text(json.dumps(record, indent=2) + "\n")


def seconds_under(reports: Path) -> Mapping[str, Took]:
    """What all grids' runs left under the folder of reports, by key of the work."""
    return {key: took for path in sorted(reports.glob(f"*/{FILE}")) for key, took in _read(path).items()}


def _read(path: Path) -> dict[str, Took]:
    """A file of seconds; a missing or damaged one tells nothing."""
    try:
        return {key: Took(**record) for key, record in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
