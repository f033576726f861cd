"""Speed-up at equal quality: the NFE at which the baseline reaches the error of each other point."""

from collections.abc import Sequence

from flows.report.charts import Chart, axis
from flows.report.figures import FLOOR
from flows.report.palette import classes
from flows.report.shapes import Drawing
from flows.report.study.findings import Findings, entropy_note, listed, records
from flows.report.study.measured import Point
from flows.study.config import StudyConfig
from lsd_core.statistics.speed_up import Reach, reach

SHOWN = ("baseline_nfe", "speed_up")


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[Point]) -> Findings:
    """The table, the sentence and the chart of a speed-up."""
    curve = sorted((p for p in points if p.label == study.baseline), key=lambda point: point.nfe)
    others = [point for point in points if point.label != study.baseline]
    rows, clauses = records([*curve, *others], teachers), []
    for row, point in zip(rows[len(curve) :], others, strict=False):
        found, ends = reached(point, curve)
        row |= {
            "baseline_nfe": str(found),
            "baseline_nfe_low": str(ends[0]),
            "baseline_nfe_high": str(ends[1]),
            "speed_up": factor(found, point.nfe),
        }
        nearest = min(curve, key=lambda base: abs(base.row.mean - point.row.mean))
        clauses.append(
            f"{point.label} at NFE {point.nfe} has the error {point.text} that {study.baseline} reaches at "
            f"{found} ({ends[0]} to {ends[1]}){_times(found, point.nfe)}"
            f"{entropy_note(point.row.entropy - nearest.row.entropy)}"
        )
    sentence = listed(clauses) + "." if clauses and curve else "Nothing could be compared."
    return Findings(rows, sentence, [plot(curve, others)], SHOWN, classes([p.row for p in (*curve, *others)]))


def reached(point: Point, curve: Sequence[Point]) -> tuple[Reach, tuple[Reach, Reach]]:
    """Where the baseline has the point's error, and the ends of its interval: the upper error comes first."""
    low, high = point.row.interval
    nfe, errors = [base.nfe for base in curve], [base.row.mean for base in curve]
    at, first, last = (reach(error, nfe, errors) for error in (point.row.mean, high, low))
    return at, (first, last)


def factor(found: Reach, nfe: int) -> str:
    """The baseline's NFE over the point's; a bound where the baseline's curve ends."""
    sign = {"at": "", "below": "<= ", "beyond": "> "}[found.side]
    return f"{sign}{found.nfe / nfe:.2f}"


def _times(found: Reach, nfe: int) -> str:
    times = f"{found.nfe / nfe:.1f}"
    clauses = {
        "at": f"{times} times",
        "below": f"at most {times} times",
        "beyond": f"more than {times} times",
    }
    return f", {clauses[found.side]} the calls"


def plot(curve: Sequence[Point], others: Sequence[Point]) -> Drawing:
    """Error against NFE, log-log; a dashed line from each point to the baseline's curve."""
    points = [*curve, *others]
    css, budgets = classes([p.row for p in points]), sorted({p.nfe for p in points})
    ends = {id(p): reached(p, curve)[0].nfe if curve else float(p.nfe) for p in others}
    metric = points[0].row.primary_metric
    chart = Chart(
        f"{metric} against network calls",
        axis([*budgets, *ends.values()], "network calls (NFE)", "log", ticks=budgets),
        axis([max(p.row.mean, FLOOR) for p in points], metric, "log"),
    )
    for label, colour in css.items():
        line = sorted((p for p in points if p.label == label), key=lambda p: p.nfe)
        chart.line([(p.nfe, max(p.row.mean, FLOOR)) for p in line], colour)
        for p in line:
            at = (p.nfe, max(p.row.mean, FLOOR))
            chart.dot(at, colour, f"{p.label}: {p.text}")
            if id(p) in ends:
                chart.line([at, (ends[id(p)], at[1])], colour, "control")
    return chart.drawn()
