"""Equal budgets of learning: error against the sequences that learning sent through the network."""

from collections.abc import Sequence

from flows.report.charts import Chart, axis
from flows.report.shapes import Drawing
from flows.report.study.findings import Comparison, Findings, compared, comparisons_of, listed
from flows.report.study.measured import Point
from flows.study.config import StudyConfig

SHOWN = ("learning_sequences", "verdict")
LEGEND = {"variants": "x0", "held against": "x1"}


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[Point]) -> Findings:
    """The table, the sentence and the chart of a study of budgets."""
    comparisons = comparisons_of(points)
    rows = compared(points, teachers, comparisons)
    for row, point in zip(rows, points, strict=False):
        row |= {"budget": point.budget, "within_budget": within(point)}
    return Findings(
        rows, sentence(points, comparisons), [plot(comparisons)] if comparisons else [], SHOWN, LEGEND
    )


def within(point: Point) -> bool:
    """Whether learning kept to its budget."""
    return point.budget is None or point.sequences <= point.budget


def sentence(points: Sequence[Point], comparisons: Sequence[Comparison]) -> str:
    """At which budgets the one is no worse than the other, and where it is."""
    if not comparisons:
        return "Nothing could be compared."
    clauses = [
        f"at {_short(made.point.budget)} {made.clause}, having spent "
        f"{made.point.sequences:.0f} against {made.reference.sequences:.0f} sequences"
        for made in comparisons
    ]
    higher = [_short(made.point.budget) for made in comparisons if made.difference.mean > 0]
    overall = f"the error is higher at {listed(higher)}" if higher else "the error is no higher at any budget"
    over = [f"{point.label} ({point.sequences:.0f})" for point in points if not within(point)]
    broken = f"; over budget: {listed(over)}" if over else ""
    text = f"{overall}: {'; '.join(clauses)}{broken}."
    return text[0].upper() + text[1:]


def plot(comparisons: Sequence[Comparison]) -> Drawing:
    """Error against sequences spent, with intervals: those compared, and what they are held against."""
    sides = {"variants": [c.point for c in comparisons], "held against": [c.reference for c in comparisons]}
    every = [point for side in sides.values() for point in side]
    metric = every[0].row.primary_metric
    chart = Chart(
        f"{metric} against the cost of learning",
        axis([point.sequences for point in every], "sequences spent on learning", "log"),
        axis([value for point in every for value in (point.row.mean, *point.row.interval)], metric, "log"),
    )
    for name, side in sides.items():
        line = sorted(side, key=lambda point: point.sequences)
        chart.line([(p.sequences, p.row.mean) for p in line], LEGEND[name])
        for p in line:
            chart.whisker(p.sequences, *p.row.interval, LEGEND[name])
            chart.dot((p.sequences, p.row.mean), LEGEND[name], f"{p.label}: {p.text}")
    return chart.drawn()


def _short(budget: int | None) -> str:
    """`16k` for 16384."""
    return "no budget" if budget is None else f"{budget // 1024}k" if budget % 1024 == 0 else str(budget)
