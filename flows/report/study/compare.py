"""Comparisons of variants, each with its reference: the difference and its bounds."""

from collections.abc import Mapping, Sequence

from flows.report.charts import bars
from flows.report.palette import classes
from flows.report.shapes import Drawing
from flows.report.study.findings import (
    Comparison,
    Findings,
    bar,
    compared,
    comparisons_of,
    entropy_note,
    listed,
)
from flows.report.study.measured import Point
from flows.report.table_rows import TEACHER
from flows.study.config import StudyConfig
from flows.study.plan import EXACT
from lsd_core.statistics.differences import unpaired

SHOWN = ("difference", "verdict")
SPELLED_OUT = 4  # so many comparisons are spelled out; of more, the largest each way


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[Point]) -> Findings:
    """The table, the sentence and the charts of a comparison."""
    comparisons = comparisons_of(points)
    said = [sentence(comparisons)]
    if study.beat:
        exact = next((teacher for teacher in teachers if teacher.row.sampler == EXACT), None)
        said.append(beaten(points, exact) if exact else "the teacher could not be measured")
    drawn = [*points, *(teachers if study.beat else [])]
    css = classes([point.row for point in drawn])
    drawings = [plot(nfe, drawn, css) for nfe in sorted({point.nfe for point in points})]
    return Findings(compared(points, teachers, comparisons), "; ".join(said) + ".", drawings, SHOWN)


def sentence(comparisons: Sequence[Comparison]) -> str:
    """What the differences say; a claim only where its bounds exclude zero."""
    if not comparisons:
        return "Nothing could be compared"
    if len(comparisons) <= SPELLED_OUT:
        text = "; ".join(made.clause for made in comparisons)
        return text[0].upper() + text[1:]
    groups = {
        verdict: [made for made in comparisons if made.difference.verdict == verdict]
        for verdict in ("better", "worse", "no difference")
    }
    said = (
        f"Of {len(comparisons)} comparisons {len(groups['better'])} are better, {len(groups['worse'])} worse and "
        f"{len(groups['no difference'])} show no difference"
    )
    if groups["better"]:
        said += f"; the most: {min(groups['better'], key=_mean).clause}"
    if groups["worse"]:
        said += f"; the worst: {max(groups['worse'], key=_mean).clause}"
    return said


def beaten(points: Sequence[Point], teacher: Point) -> str:
    """Which points have a lower error than the teacher's own sequences."""
    differences = {
        (point.label, point.nfe): unpaired(point.scores, teacher.scores, len(points)) for point in points
    }
    winners = [point for point in points if differences[point.label, point.nfe].verdict == "better"]
    its = f"its teacher ({teacher.label.removeprefix('teacher ')}, {teacher.nfe} calls, error {teacher.row.mean:.4f})"
    if winners:
        clauses = [
            f"{point.label} at NFE {point.nfe} ({point.text}{entropy_note(point.row.entropy - teacher.row.entropy)})"
            for point in winners
        ]
        return f"{listed(clauses)} {'beats' if len(clauses) == 1 else 'beat'} {its}"
    best = min(points, key=lambda point: point.row.mean)
    level = differences[best.label, best.nfe].verdict
    return (
        f"no student beats {its}; the best, {best.label} at NFE {best.nfe} ({best.text}), "
        f"{'is worse' if level == 'worse' else 'shows no difference'}"
    )


def plot(nfe: int, points: Sequence[Point], css: Mapping[str, str]) -> Drawing:
    """Errors at one NFE with their intervals, and the teacher's."""
    rows = [point.row for point in points if point.nfe == nfe or point.row.method == TEACHER]
    return bars(f"{rows[0].primary_metric} at NFE {nfe}", [bar(row, css, row.label) for row in rows])


def _mean(made: Comparison) -> float:
    return made.difference.mean
