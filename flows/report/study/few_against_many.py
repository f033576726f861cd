"""Few calls against many: how near samplers of few calls come to plain steps of many, and to the exact sampler."""

from collections.abc import Mapping, Sequence

from flows.report.charts import bars
from flows.report.palette import classes
from flows.report.shapes import Drawing
from flows.report.study.findings import Findings, bar, entropy_note, listed, records
from flows.report.study.measured import Point
from flows.study.config import StudyConfig
from flows.study.plan import EXACT
from lsd_core.statistics.differences import Difference, unpaired

SHOWN = ("to_many", "to_exact")


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[Point]) -> Findings:
    """The table, the sentence and the chart: each point's error above the baseline's at its largest NFE, and above
    the exact sampler's, with bounds that hold for all points together."""
    many = max((p for p in points if p.label == study.baseline), key=lambda p: p.nfe, default=None)
    exact = next((teacher for teacher in teachers if teacher.row.sampler == EXACT), None)
    few = [point for point in points if many is None or point.nfe < many.nfe]
    rows = records(points, teachers)
    clauses = dict[str, list[str]]()
    for row, point in zip(rows, points, strict=False):
        for name, reference in (("many", many), ("exact", exact)):
            if reference is None or reference is point:
                continue
            by = unpaired(point.scores, reference.scores, 2 * len(points))
            row |= {
                f"to_{name}": by.mean,
                f"to_{name}_low": by.low,
                f"to_{name}_high": by.high,
                f"to_{name}_verdict": by.verdict,
            }
            if point in few and by.verdict != "worse":
                clauses.setdefault(name, []).append(_clause(point, reference, by))
    named = {
        "many": "" if many is None else f"{many.label} at NFE {many.nfe} ({many.text})",
        "exact": "" if exact is None else f"the exact sampler ({exact.nfe} calls, {exact.row.mean:.4f})",
    }
    said = [_said(clauses.get(name, []), few, whom) for name, whom in named.items() if whom]
    sentence = "; ".join(said) + "." if said and few else "Nothing could be compared."
    drawn = [*few, *([] if many is None else [many]), *([] if exact is None else [exact])]
    css = classes([point.row for point in drawn])
    return Findings(rows, sentence, [_plot(drawn, css)] if drawn else [], SHOWN)


def _clause(point: Point, reference: Point, by: Difference) -> str:
    note = entropy_note(point.row.entropy - reference.row.entropy)
    better = " (better)" if by.verdict == "better" else ""
    return f"{point.label} at NFE {point.nfe}{better}, {by.low:+.4f} to {by.high:+.4f}{note}"


def _said(clauses: Sequence[str], few: Sequence[Point], whom: str) -> str:
    """Who is as good as `whom`, or that nobody is, with the nearest."""
    if clauses:
        return f"no worse than {whom} within bounds: {listed(clauses)}"
    nearest = min(few, key=lambda point: point.row.mean)
    return f"none is as good as {whom}; the nearest, {nearest.label} at NFE {nearest.nfe}, has {nearest.text}"


def _plot(points: Sequence[Point], css: Mapping[str, str]) -> Drawing:
    """Errors with their intervals, in the order of the table."""
    drawn = [bar(point.row, css, f"{point.label}, {point.nfe}") for point in points]
    return bars(f"{points[0].row.primary_metric} by NFE", drawn)
