"""Jobs that a driver sends to its workers, small and without secrets, and the key of each one's result."""

from dataclasses import dataclass

from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.one_by_one import result_key
from lsd_core.candidates.results import Results
from lsd_core.candidates.tested import Tested, measured_key
from lsd_core.trajectories.spec import TeacherSpec


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """Generate one shard of a teacher's trajectories."""

    teacher: TeacherSpec
    shard: int

    def __str__(self) -> str:
        return f"shard {self.shard}"


@dataclass(frozen=True, kw_only=True)
class LearnJob:
    """Learn one table of a candidate."""

    spec: CandidateSpec
    which: int
    """Number of the learning run."""

    @property
    def title(self) -> str:
        """For the list of runs in which its curves grow."""
        return f"learning {self.spec.label} seed {self.which}"

    def __str__(self) -> str:
        return f"learned {self.spec.label} seed {self.which}"

    def key(self, results: Results) -> str:
        return results.table_key(self.which)


@dataclass(frozen=True, kw_only=True)
class MeasureJob:
    """Measure one table of a candidate on one seed's samples."""

    spec: CandidateSpec
    part: str
    """`selection`, `report`, or `shipped`: report seeds on the table that ships."""
    which: int
    temperature: float = 1.0
    only_across: bool = False
    """The measurement is there, and lacks the statistics across its samples."""

    def key(self, results: Results) -> str:
        if self.part == "selection":
            return results.measurement_key(self.part, self.which, self.temperature)
        tested = Tested(part=self.part, which=self.which, temperature=self.temperature)
        return measured_key(results, tested)


@dataclass(frozen=True, kw_only=True)
class CertifyJob:
    """Compute a certificate of one table of a candidate."""

    spec: CandidateSpec
    which: int
    kind: str = "reverse"
    """Or `forward_swapped`."""

    def __str__(self) -> str:
        return f"certified {self.spec.label} seed {self.which}"

    def key(self, results: Results) -> str:
        return results.certificate_key(self.which, self.kind)


@dataclass(frozen=True, kw_only=True)
class TeacherJob:
    """Measure a teacher's own sequences."""

    spec: CandidateSpec
    """A candidate that learns from this teacher."""
    only_across: bool = False
    """As for a MeasureJob."""

    def key(self, results: Results) -> str:
        return results.teacher_across_key


@dataclass(frozen=True, kw_only=True)
class OneByOneJob:
    """Measure one token a call along an order."""

    spec: CandidateSpec
    """A candidate that unmasks along it."""
    order: str
    samples: int

    def __str__(self) -> str:
        return f"one by one in {self.order} order on {self.spec.backbone.name}"

    def key(self, results: Results) -> str:
        return result_key(self.spec, self.order, self.samples)


CandidateJob = LearnJob | MeasureJob | CertifyJob | TeacherJob | OneByOneJob
Job = ShardJob | CandidateJob
