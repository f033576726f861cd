"""Speed-up at equal quality: the NFE at which the baseline reaches the error of each other point."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from flows.report.study.findings import Findings, Row, entropy_note, listed, row_of, teacher_rows
from flows.report.study.measured import Point, TeacherPoint
from flows.study.config import StudyConfig
from lsd_core.statistics.speed_up import Reach, reach

SHOWN = ("baseline_NFE", "speed_up")


def analyse(study: StudyConfig, points: Sequence[Point], teachers: Sequence[TeacherPoint]) -> Findings:
    """The table, the sentence and the figure of a speed-up."""
    curve = sorted((p for p in points if p.label == study.baseline), key=lambda point: point.nfe)
    others = [point for point in points if point.label != study.baseline]
    rows: list[Row] = [row_of(point) for point in curve]
    told = []
    for point in others:
        found, ends = reached(point, curve)
        rows.append(
            row_of(point)
            | {
                "baseline_NFE": str(found),
                "baseline_NFE_low": str(ends[0]),
                "baseline_NFE_high": str(ends[1]),
                "speed_up": factor(found, point.nfe),
            }
        )
        nearest = min(curve, key=lambda base: abs(base.mean - point.mean))
        told.append(
            f"{point.label} at NFE {point.nfe} has the error {point.text} that {study.baseline} reaches at "
            f"{found} ({ends[0]} to {ends[1]}){_times(found, point.nfe)}"
            f"{entropy_note(point.entropy - nearest.entropy)}"
        )
    sentence = listed(told) + "." if told and curve else "Nothing could be compared."
    return Findings([*rows, *teacher_rows(teachers)], sentence, plot(study, curve, others), SHOWN)


def reached(point: Point, curve: Sequence[Point]) -> tuple[Reach, tuple[Reach, Reach]]:
    """Where the baseline has the point's error, and the ends of its interval: the upper error comes first."""
    nfe, errors = [base.nfe for base in curve], [base.mean for base in curve]
    at, low, high = (reach(error, nfe, errors) for error in (point.mean, point.high, point.low))
    return at, (low, high)


def factor(found: Reach, nfe: int) -> str:
    """The baseline's NFE over the point's; a bound where the baseline's curve ends."""
    sign = {"at": "", "below": "<= ", "beyond": "> "}[found.side]
    return f"{sign}{found.nfe / nfe:.2f}"


def _times(found: Reach, nfe: int) -> str:
    times = f"{found.nfe / nfe:.1f}"
    told = {"at": f"{times} times", "below": f"at most {times} times", "beyond": f"more than {times} times"}
    return f", {told[found.side]} the calls"


def plot(study: StudyConfig, curve: Sequence[Point], others: Sequence[Point]) -> Figure:
    """Error against NFE, log-log; a dotted line from each point to the baseline's curve."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    labels = [str(study.baseline), *dict.fromkeys(point.label for point in others)]
    for label in labels:
        line = sorted((p for p in (*curve, *others) if p.label == label), key=lambda point: point.nfe)
        axes.plot([p.nfe for p in line], [max(p.mean, 1e-5) for p in line], marker="o", label=label)
    for point in others:
        end = reached(point, curve)[0].nfe if curve else point.nfe
        axes.plot([point.nfe, end], [max(point.mean, 1e-5)] * 2, color="grey", linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="network calls (NFE)", ylabel="error")
    ticks = sorted({point.nfe for point in (*curve, *others)})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_title(study.question, fontsize=9)
    axes.legend(fontsize=7)
    return figure
