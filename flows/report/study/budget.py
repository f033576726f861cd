"""Equal budgets of learning: error against what was really spent, in sequences through the network."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from flows.report.study.findings import (
    Comparison,
    Findings,
    compared_rows,
    comparisons_of,
    listed,
    teacher_rows,
)
from flows.report.study.measured import Point, TeacherPoint
from flows.study.config import StudyConfig

SHOWN = ("learning_sequences", "verdict")


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[TeacherPoint]) -> Findings:
    """The table, the sentence and the figure of a study of budgets."""
    comparisons = comparisons_of(points)
    budgets = {point.label: point.budget for point in points}
    rows = [
        row | {"budget": budgets[str(row["variant"])], "within_budget": within(point)}
        for row, point in zip(compared_rows(points, comparisons), points, strict=True)
    ]
    return Findings(
        [*rows, *teacher_rows(teachers)],
        sentence(points, comparisons),
        plot(study, points, comparisons),
        SHOWN,
    )


def within(point: Point) -> bool:
    """Whether learning kept to its budget."""
    return point.budget is None or point.sequences <= point.budget


def sentence(points: Sequence[Point], comparisons: Sequence[Comparison]) -> str:
    """At which budgets the one is no worse than the other, and where it is."""
    if not comparisons:
        return "Nothing could be compared."
    told = [
        f"at {_short(made.point.budget)} {made.clause}, having spent "
        f"{made.point.sequences:.0f} against {made.reference.sequences:.0f} sequences"
        for made in comparisons
    ]
    higher = [_short(made.point.budget) for made in comparisons if made.difference.mean > 0]
    overall = f"the error is higher at {listed(higher)}" if higher else "the error is no higher at any budget"
    over = [f"{point.label} ({point.sequences:.0f})" for point in points if not within(point)]
    broken = f"; over budget: {listed(over)}" if over else ""
    text = f"{overall}: {'; '.join(told)}{broken}."
    return text[0].upper() + text[1:]


def plot(study: StudyConfig, points: Sequence[Point], comparisons: Sequence[Comparison]) -> Figure:
    """Error against sequences spent, with intervals: those compared, and what they are held against."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    compared = {made.point.label for made in comparisons}
    held_against = {made.reference.label for made in comparisons}
    for name, labels in (("variants", compared), ("held against", held_against)):
        line = sorted((p for p in points if p.label in labels), key=lambda point: point.sequences)
        if line:
            spread = [
                [max(0.0, p.mean - p.low) for p in line],
                [max(0.0, p.high - p.mean) for p in line],
            ]
            told = f"{name}: {line[0].label} ... {line[-1].label}"
            axes.errorbar(
                [p.sequences for p in line],
                [p.mean for p in line],
                yerr=spread,
                marker="o",
                capsize=3,
                label=told,
            )
    axes.set(xscale="log", yscale="log", xlabel="sequences spent on learning", ylabel="error")
    axes.set_title(study.question, fontsize=9)
    axes.legend(fontsize=7)
    return figure


def _short(budget: int | None) -> str:
    """`16k` for 16384."""
    return "no budget" if budget is None else f"{budget // 1024}k" if budget % 1024 == 0 else str(budget)
