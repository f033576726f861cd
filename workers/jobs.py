"""What a driver sends to its workers: plain data, small, without secrets."""

from dataclasses import dataclass
from typing import Any


def _label(spec: dict[str, Any]) -> str:
    return f"{spec['backbone']['name']} nfe{spec['nfe']} {spec['sampler']} {spec['method']}"


@dataclass(frozen=True, kw_only=True)
class LearnJob:
    """Learn one table of a candidate."""

    spec: dict[str, Any]
    """`CandidateSpec.to_dict()`."""
    which: int
    """Number of the learning run."""

    @property
    def title(self) -> str:
        """For the list of runs in which its curves grow."""
        return f"learning {_label(self.spec)} seed {self.which}"

    def __str__(self) -> str:
        return f"learned {_label(self.spec)} seed {self.which}"


@dataclass(frozen=True, kw_only=True)
class MeasureJob:
    """Measure one table of a candidate on one seed's samples."""

    spec: dict[str, Any]
    part: str
    """`selection`, `report`, or `shipped`: report seeds on the table that ships."""
    which: int
    temperature: float = 1.0
    only_across: bool = False
    """The measurement is there, and lacks the statistics across its samples."""


@dataclass(frozen=True, kw_only=True)
class CertifyJob:
    """Compute a certificate of one table of a candidate."""

    spec: dict[str, Any]
    which: int
    kind: str = "reverse"
    """Or `forward_swapped`."""

    def __str__(self) -> str:
        return f"certified {_label(self.spec)} seed {self.which}"


@dataclass(frozen=True, kw_only=True)
class TeacherJob:
    """Measure a teacher's own sequences."""

    spec: dict[str, Any]
    """Of a candidate that learns from this teacher."""
    only_across: bool = False
    """As for a MeasureJob."""


Job = LearnJob | MeasureJob | CertifyJob | TeacherJob
