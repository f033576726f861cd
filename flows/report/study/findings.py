"""What a study comes to: rows, a sentence, a figure; and what the kinds of study share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from flows.report.study.measured import Point, TeacherPoint
from lsd_core.statistics.differences import Difference, paired

NOTED_NAT = 0.02  # a loss of entropy larger than this may have bought an error
ALWAYS = ("variant", "NFE", "error", "low", "high", "entropy")
Row = dict[str, object]


@dataclass(frozen=True)
class Findings:
    """A study's answer."""

    rows: list[Row]
    sentence: str
    figure: Figure
    shown: tuple[str, ...]
    """Columns that a terminal of 80 has room for beside ALWAYS; the file has them all."""


@dataclass(frozen=True)
class Comparison:
    """A point, the one it is held against, and the difference of their errors."""

    point: Point
    reference: Point
    difference: Difference

    @property
    def clause(self) -> str:
        """What it says: `a is better than b at NFE 8 (0.0200 (...) against ..., difference ...)`."""
        one, other, by = self.point, self.reference, self.difference
        said = {"better": "is better than", "worse": "is worse than"}.get(
            by.verdict, "shows no difference to"
        )
        agreeing = "" if by.agreeing is None else f", the same way in {by.agreeing} of {by.seeds} seeds"
        return (
            f"{one.label} {said} {other.label} at NFE {one.nfe} ({one.text} against {other.text}, "
            f"difference {by.mean:+.4f}, bounds {by.low:+.4f} to {by.high:+.4f}{agreeing}"
            f"{entropy_note(one.entropy - other.entropy)})"
        )


def comparisons_of(points: Sequence[Point]) -> list[Comparison]:
    """Every point with an `against`, paired with that variant at the same NFE; bounds hold for all together."""
    found = {(point.label, point.nfe): point for point in points}
    pairs = [
        (point, found[point.against, point.nfe])
        for point in points
        if point.against not in (None, point.label) and (point.against, point.nfe) in found
    ]
    return [Comparison(one, other, paired(one.scores, other.scores, len(pairs))) for one, other in pairs]


def entropy_note(change: float) -> str:
    """Said where an entropy fell by enough to have bought an error."""
    return f", at an entropy {-change:.3f} nat lower" if change < -NOTED_NAT else ""


def row_of(point: Point) -> Row:
    """The columns of every study."""
    return {
        "variant": point.label,
        "NFE": point.nfe,
        "error": point.mean,
        "low": point.low,
        "high": point.high,
        "entropy": point.entropy,
        "start_tv": point.start_tv,
        "calls": point.calls,
        "learning_sequences": round(point.sequences),
        "teacher_sequences": point.teacher_sequences,
    }


def compared_rows(points: Sequence[Point], comparisons: Sequence[Comparison]) -> list[Row]:
    """The points' rows with the differences to what they are held against."""
    by_point: Mapping[tuple[str, int], Comparison] = {
        (made.point.label, made.point.nfe): made for made in comparisons
    }
    rows = []
    for point in points:
        made = by_point.get((point.label, point.nfe))
        rows.append(
            row_of(point)
            | {
                "against": None if made is None else made.reference.label,
                "difference": None if made is None else made.difference.mean,
                "difference_low": None if made is None else made.difference.low,
                "difference_high": None if made is None else made.difference.high,
                "verdict": "" if made is None else made.difference.verdict,
            }
        )
    return rows


def teacher_rows(teachers: Sequence[TeacherPoint]) -> list[Row]:
    """The teachers' own sequences, for the foot of the table."""
    return [
        {
            "variant": f"teacher {teacher.label}",
            "NFE": teacher.calls,
            "error": teacher.mean,
            "entropy": teacher.entropy,
            "calls": teacher.calls,
        }
        for teacher in teachers
    ]


def listed(items: Sequence[object]) -> str:
    """`4, 8 and 16`."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
