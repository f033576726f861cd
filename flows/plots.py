"""Plots of a run: quality against calls, and what was learned."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from flows.looks import CONTROL, colour_and_line, marks
from flows.pipeline.run import Run
from flows.rows import TEACHER, Row, merged
from lsd_core.distillation.methods import METHODS

matplotlib.use("agg")


def plot_quality(rows: Sequence[Row], primary: str, path: Path) -> None:
    """Primary metric against network calls, one panel a backbone: controls are dashed, the teacher is dotted."""
    backbones = list(dict.fromkeys(row.backbone for row in rows))
    figure = Figure(figsize=(6 * max(1, len(backbones)) + 2, 4.2), layout="constrained")
    drawn = {
        backbone: merged([row for row in rows if row.backbone == backbone and row.method != TEACHER])
        for backbone in backbones
    }
    labels = _labels([row for each in drawn.values() for row in each])
    mark = marks(row.sampler for each in drawn.values() for row, _ in each)
    shown = dict[str, Artist]()
    for column, backbone in enumerate(backbones):
        axes = figure.add_subplot(1, len(backbones), column + 1)
        mine = [row for row in rows if row.backbone == backbone]
        curves: dict[str, list[Row]] = {}
        for row, _ in drawn[backbone]:
            curves.setdefault(labels[row], []).append(row)
        for name, points in curves.items():
            points.sort(key=lambda row: row.nfe)
            nfe, values = [row.nfe for row in points], [max(row.primary, 1e-5) for row in points]
            errors = [
                [max(0.0, v - (v if r.low is None else r.low)) for v, r in zip(values, points, strict=True)],
                [
                    max(0.0, (v if r.high is None else r.high) - v)
                    for v, r in zip(values, points, strict=True)
                ],
            ]
            color, line = colour_and_line(points[0].method)
            shown[name] = axes.errorbar(
                nfe,
                values,
                yerr=errors,
                color=color,
                linestyle=line,
                marker=mark[points[0].sampler],
                markersize=4,
                markerfacecolor="white" if line == CONTROL else color,
                capsize=2,
            )[0]
        for row in mine:
            if row.method == TEACHER:
                level = axes.axhline(max(row.primary, 1e-5), color="black", linestyle=":")
                shown[f"teacher, {row.nfe} calls"] = level
        axes.set(xscale="log", yscale="log", xlabel="network calls (NFE)", ylabel=primary, title=backbone)
        ticks = sorted({row.nfe for row in mine if row.method != TEACHER})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    figure.legend(list(shown.values()), list(shown), loc="outside right upper", fontsize=8, handlelength=3)
    figure.savefig(path, dpi=130)


def _labels(drawn: Sequence[tuple[Row, list[Row]]]) -> dict[Row, str]:
    """A name for each row's curve: its method, and its base samplers where the rows differ in them."""
    samplers = {row: " = ".join(twin.sampler for twin in (row, *twins)) for row, twins in drawn}
    given = {row: name for row, name in samplers.items() if METHODS[row.method].own_sampler is None}
    differ = len(set(given.values())) > 1
    return {
        row: f"{row.method} ({given[row]})" if differ and row in given else row.method for row in samplers
    }


def plot_tables(run: Run, rows: Sequence[Row], path: Path) -> None:
    """Learned grids and gains by step: one panel a budget, share still masked or time left on top."""
    learned = [
        spec
        for spec in run.plan.candidates
        if spec.key in run.cards and spec.sampler == run.plan.config.samplers[0]
    ]
    cells = sorted({(spec.backbone.name, spec.nfe) for spec in learned})
    figure = Figure(figsize=(4.2 * max(1, len(cells)), 6), layout="constrained")
    for column, (backbone, nfe) in enumerate(cells):
        above = figure.add_subplot(2, len(cells), column + 1)
        below = figure.add_subplot(2, len(cells), len(cells) + column + 1)
        for spec in learned:
            if (spec.backbone.name, spec.nfe) == (backbone, nfe):
                table = run.cards[spec.key].step_table
                color, line = colour_and_line(spec.method)
                shares, steps = [value / table.grid[0] for value in table.grid], range(1, table.num_steps + 1)
                above.plot(shares, color=color, linestyle=line, marker=".", label=spec.method)
                below.plot(steps, table.gains, color=color, linestyle=line, marker=".")
        above.set(title=f"{backbone}, NFE {nfe}", ylabel="time, or share masked", xlabel="step")
        below.set(ylabel="gain", xlabel="step", yscale="log")
        above.legend(fontsize=7)
    figure.savefig(path, dpi=130)
