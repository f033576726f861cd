"""Rank correlation of certificates, which know nothing of the task, with the errors of the same candidates."""

from collections.abc import Sequence

import numpy as np

from flows.report.charts import Chart, axis
from flows.report.figures import FLOOR
from flows.report.shapes import Drawing
from flows.report.study.findings import Findings, listed, records
from flows.report.study.measured import Point
from flows.study.config import StudyConfig
from flows.study.plan import EXACT
from lsd_core.statistics.rank_correlation import spearman

REVERSE, FORWARD = "reverse", "forward_swapped"
SHOWN = ("certificate_value_nats", "forward_swapped_value_nats")
NEAR_NAT = 0.1  # candidates are ranked whose unigram entropy is so close to the teacher's
WANTED = 0.9


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[Point]) -> Findings:
    """The table, the sentence and the charts of a study of certificates."""
    exact = next((teacher for teacher in teachers if teacher.row.sampler == EXACT), None)
    ranked, rows = eligible(points, exact), records(points, teachers)
    for row, point in zip(rows, points, strict=False):
        forward = point.certificates.get(FORWARD)
        row |= {
            "forward_swapped_value_nats": forward and forward.nats,
            "forward_swapped_standard_error": forward and forward.standard_error,
            **{f"ranked_by_{kind}": point in of for kind, of in ranked.items()},
        }
    clauses = [clause(kind, of, len(points)) for kind, of in ranked.items()]
    budgets = sorted({point.nfe for point in points})
    legend = {f"NFE {nfe}": f"x{k}" for k, nfe in enumerate(budgets)}
    drawings = [plot(kind, of, legend) for kind, of in ranked.items() if of]
    return Findings(rows, f"{'; '.join(clauses)}.", drawings, SHOWN, legend)


def eligible(points: Sequence[Point], teacher: Point | None) -> dict[str, list[Point]]:
    """By certificate: the reverse one near the teacher's entropy, the forward one where no gain was learned."""
    near = [p for p in points if teacher is not None and abs(p.row.entropy - teacher.row.entropy) <= NEAR_NAT]
    return {
        REVERSE: [point for point in near if REVERSE in point.certificates],
        FORWARD: [point for point in points if point.gainless and FORWARD in point.certificates],
    }


def correlation(points: Sequence[Point], kind: str) -> float:
    """Spearman's between certificate and error; NaN for fewer than three points."""
    if len(points) < 3:
        return float("nan")
    return spearman(
        np.array([p.certificates[kind].nats for p in points]), np.array([p.row.mean for p in points])
    )


def clause(kind: str, points: Sequence[Point], total: int) -> str:
    """How well it ranks, over all and within each NFE."""
    name, among = {
        REVERSE: ("The reverse certificate", f"within {NEAR_NAT} nat of the teacher's entropy"),
        FORWARD: ("the forward certificate", "with gain 1"),
    }[kind]
    found = correlation(points, kind)
    if np.isnan(found):
        return f"{name} has too few candidates {among} to rank ({len(points)} of {total})"
    budgets = sorted({point.nfe for point in points})
    inside = [correlation([point for point in points if point.nfe == nfe], kind) for nfe in budgets]
    by_nfe = listed([f"{value:.2f} at NFE {nfe}" for nfe, value in zip(budgets, inside, strict=True)])
    verb = "ranks" if found >= WANTED else "does not rank"
    return (
        f"{name} {verb} the {len(points)} of {total} candidates {among} as their error does: "
        f"Spearman {found:.3f}, wanted {WANTED} ({by_nfe})"
    )


def plot(kind: str, points: Sequence[Point], legend: dict[str, str]) -> Drawing:
    """Error against certificate, a colour an NFE."""
    metric, places = (
        points[0].row.primary_metric,
        [(p.certificates[kind].nats, max(p.row.mean, FLOOR)) for p in points],
    )
    chart = Chart(
        f"{kind}: Spearman {correlation(points, kind):.3f}",
        axis([x for x, _ in places], "nats", "log"),
        axis([y for _, y in places], metric, "log"),
    )
    for point, place in zip(points, places, strict=True):
        found = point.certificates[kind]
        said = f"{point.label}: {found.nats:.4g} ± {found.standard_error:.2g} nat, {metric} {point.text}"
        chart.dot(place, legend[f"NFE {point.nfe}"], said)
    return chart.drawn()
