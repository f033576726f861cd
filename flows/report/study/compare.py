"""Studies that compare variants: who is better than what it is held against, and by how much."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from flows.report.study.findings import (
    Comparison,
    Findings,
    compared_rows,
    comparisons_of,
    entropy_note,
    listed,
    teacher_rows,
)
from flows.report.study.measured import Point, TeacherPoint
from flows.study.config import StudyConfig
from flows.study.plan import EXACT
from lsd_core.statistics.differences import unpaired

SHOWN = ("difference", "verdict")
SPELLED_OUT = 4  # so many comparisons are told one by one; of more, the largest each way


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[TeacherPoint]) -> Findings:
    """The table, the sentence and the figure of a comparison."""
    comparisons = comparisons_of(points)
    said = [sentence(comparisons)]
    if study.beat:
        exact = next((teacher for teacher in teachers if teacher.method == EXACT), None)
        said.append(beaten(points, exact) if exact else "the teacher could not be measured")
    rows = [*compared_rows(points, comparisons), *teacher_rows(teachers)]
    return Findings(rows, "; ".join(said) + ".", plot(study, points, teachers if study.beat else []), SHOWN)


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


def beaten(points: Sequence[Point], teacher: TeacherPoint) -> str:
    """Which points have a lower error than the teacher's own sequences."""
    differences = {
        (point.label, point.nfe): unpaired(point.scores, teacher.scores, len(points)) for point in points
    }
    winners = [point for point in points if differences[point.label, point.nfe].verdict == "better"]
    its = f"its teacher ({teacher.label}, {teacher.calls} calls, error {teacher.mean:.4f})"
    if winners:
        told = [
            f"{point.label} at NFE {point.nfe} ({point.text}{entropy_note(point.entropy - teacher.entropy)})"
            for point in winners
        ]
        return f"{listed(told)} {'beats' if len(told) == 1 else 'beat'} {its}"
    best = min(points, key=lambda point: point.mean)
    level = differences[best.label, best.nfe].verdict
    return (
        f"no student beats {its}; the best, {best.label} at NFE {best.nfe} ({best.text}), "
        f"{'is worse' if level == 'worse' else 'shows no difference'}"
    )


def plot(study: StudyConfig, points: Sequence[Point], teachers: Sequence[TeacherPoint] = ()) -> Figure:
    """Errors with their intervals, a row a variant, a panel an NFE."""
    budgets = sorted({point.nfe for point in points})
    labels = list(dict.fromkeys(point.label for point in points))
    figure = Figure(figsize=(2 + 3.2 * max(1, len(budgets)), 1.4 + 0.32 * len(labels)), layout="constrained")
    for column, nfe in enumerate(budgets):
        axes = figure.add_subplot(1, len(budgets), column + 1)
        for point in points:
            if point.nfe == nfe:
                below, above = max(0.0, point.mean - point.low), max(0.0, point.high - point.mean)
                axes.errorbar(
                    point.mean,
                    labels.index(point.label),
                    xerr=[[below], [above]],
                    fmt="o",
                    color="C0",
                    capsize=3,
                )
        for teacher in teachers:
            axes.axvline(teacher.mean, color="black", linestyle=":", label=f"teacher {teacher.label}")
        axes.set_yticks(range(len(labels)), labels if column == 0 else [""] * len(labels))
        axes.set(xlabel="error", title=f"NFE {nfe}", ylim=(len(labels) - 0.5, -0.5))
        if teachers and column == 0:
            axes.legend(fontsize=7)
    figure.suptitle(study.question, fontsize=9)
    return figure


def _mean(made: Comparison) -> float:
    return made.difference.mean
