"""Whether certificates, which know nothing of the task, rank candidates as their errors do."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from flows.report.study.findings import Findings, listed, row_of, teacher_rows
from flows.report.study.measured import Point, TeacherPoint
from flows.study.config import StudyConfig
from flows.study.plan import EXACT
from lsd_core.statistics.rank_correlation import spearman

REVERSE, FORWARD = "reverse", "forward_swapped"
SHOWN = ("reverse_nats", "forward_swapped_nats")
NEAR_NAT = 0.1  # candidates are ranked whose unigram entropy is so close to the teacher's
WANTED = 0.9


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[TeacherPoint]) -> Findings:
    """The table, the sentence and the figure of a study of certificates."""
    exact = next((teacher for teacher in teachers if teacher.method == EXACT), None)
    ranked = eligible(points, exact)
    rows = [
        row_of(point)
        | {f"{kind}_nats": point.certificates.get(kind) for kind in ranked}
        | {f"ranked_by_{kind}": point in of for kind, of in ranked.items()}
        for point in points
    ]
    told = [clause(kind, of, len(points)) for kind, of in ranked.items()]
    return Findings([*rows, *teacher_rows(teachers)], f"{'; '.join(told)}.", plot(study, ranked), SHOWN)


def eligible(points: Sequence[Point], teacher: TeacherPoint | None) -> dict[str, list[Point]]:
    """By certificate: the reverse one near the teacher's entropy, the forward one where no gain was learned."""
    near = [p for p in points if teacher is not None and abs(p.entropy - teacher.entropy) <= NEAR_NAT]
    return {
        REVERSE: [point for point in near if REVERSE in point.certificates],
        FORWARD: [point for point in points if point.gainless and FORWARD in point.certificates],
    }


def correlation(points: Sequence[Point], kind: str) -> float:
    """Spearman's between certificate and error; NaN for fewer than three points."""
    if len(points) < 3:
        return float("nan")
    return spearman(np.array([p.certificates[kind] for p in points]), np.array([p.mean for p in points]))


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


def plot(study: StudyConfig, ranked: dict[str, list[Point]]) -> Figure:
    """Error against certificate, a panel a kind, a colour an NFE."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    for column, (kind, points) in enumerate(ranked.items()):
        axes = figure.add_subplot(1, len(ranked), column + 1)
        for nfe in sorted({point.nfe for point in points}):
            mine = [point for point in points if point.nfe == nfe]
            x, y = [point.certificates[kind] for point in mine], [max(point.mean, 1e-5) for point in mine]
            axes.plot(x, y, "o", label=f"NFE {nfe}")
        title = f"{kind}: Spearman {correlation(points, kind):.3f}"
        axes.set(xscale="log", yscale="log", xlabel="nats", ylabel="error", title=title)
        if points:
            axes.legend(fontsize=7)
    figure.suptitle(study.question, fontsize=9)
    return figure
