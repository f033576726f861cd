"""The answer of a study: rows, a sentence, charts; and what the kinds of study share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flows.report.charts import Bar
from flows.report.csv_columns import metric_names, record
from flows.report.shapes import Drawing
from flows.report.study.measured import Point
from flows.report.table_rows import Row
from lsd_core.statistics.differences import Difference, paired
from lsd_core.statistics.envelope import TOLERANCE

Record = dict[str, object]


@dataclass(frozen=True)
class Findings:
    """A study's answer."""

    rows: list[Record]
    """By the columns of every CSV file, and those of the study."""
    sentence: str
    drawings: Sequence[Drawing]
    shown: tuple[str, ...]
    """Columns that a terminal of 80 has room for beside variant, NFE, primary metric and entropy."""
    legend: Mapping[str, str] = field(default_factory=dict)
    """Classes of the colours in the drawings, by name."""


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
            f"{entropy_note(one.row.entropy - other.row.entropy)})"
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
    """A note where the entropy fell by enough to explain a lower error."""
    return f", at an entropy {-change:.3f} nat lower" if change < -TOLERANCE else ""


def records(points: Sequence[Point], teachers: Sequence[Point]) -> list[Record]:
    """The columns of every study, teachers last."""
    names = metric_names([point.row for point in points])
    return [
        record(point.row, names)
        | {"learning_sequences": round(point.sequences), "teacher_sequences": point.teacher_sequences}
        for point in points
    ] + [record(teacher.row, names) for teacher in teachers]


def compared(
    points: Sequence[Point], teachers: Sequence[Point], comparisons: Sequence[Comparison]
) -> list[Record]:
    """The records with the differences to what they are held against."""
    made = {id(each.point): each for each in comparisons}
    differences = [
        {
            "against": each.reference.label if each else None,
            "difference": each.difference.mean if each else None,
            "difference_low": each.difference.low if each else None,
            "difference_high": each.difference.high if each else None,
            "verdict": each.difference.verdict if each else "",
        }
        for each in (made.get(id(point)) for point in (*points, *teachers))
    ]
    return [row | more for row, more in zip(records(points, teachers), differences, strict=True)]


def bar(row: Row, css: Mapping[str, str], label: str) -> Bar:
    """A row's error with its interval, as a chart shows it."""
    low, high = row.interval
    return Bar(label, row.mean, css[row.label], f"{row.mean:.4f}", (high - low) / 2)


def listed(items: Sequence[object]) -> str:
    """`4, 8 and 16`."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
