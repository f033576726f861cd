"""What a driver sends to its workers: plain data, small, without secrets."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LearnJob:
    """Learn one table of a candidate."""

    spec: dict[str, Any]
    """`CandidateSpec.to_dict()`."""
    which: int
    """Number of the learning run."""


@dataclass(frozen=True, kw_only=True)
class MeasureJob:
    """Measure one table of a candidate on one seed's samples."""

    spec: dict[str, Any]
    part: str
    """`selection` or `report`."""
    which: int
    temperature: float = 1.0


@dataclass(frozen=True, kw_only=True)
class CertifyJob:
    """Compute a certificate of one table of a candidate."""

    spec: dict[str, Any]
    which: int
    kind: str = "reverse"
    """Or `forward_swapped`."""


@dataclass(frozen=True, kw_only=True)
class TeacherJob:
    """Measure a teacher's own sequences."""

    spec: dict[str, Any]
    """Of a candidate that learns from this teacher."""


Job = LearnJob | MeasureJob | CertifyJob | TeacherJob
