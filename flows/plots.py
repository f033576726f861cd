"""Plots of a run: quality against calls, and what was learned."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from flows.rows import Row, merged
from flows.run import Run

matplotlib.use("agg")


def plot_quality(rows: Sequence[Row], primary: str, path: Path) -> None:
    """Primary metric against network calls, one panel a backbone; the teacher is the dotted line."""
    backbones = list(dict.fromkeys(row.backbone for row in rows))
    figure = Figure(figsize=(6 * max(1, len(backbones)), 4.2), layout="constrained")
    for column, backbone in enumerate(backbones):
        axes = figure.add_subplot(1, len(backbones), column + 1)
        mine = [row for row in rows if row.backbone == backbone]
        curves: dict[str, list[Row]] = {}
        for row, twins in merged([row for row in mine if row.method != "teacher"]):
            samplers = " = ".join(twin.sampler for twin in (row, *twins))
            curves.setdefault(f"{row.method} ({samplers})", []).append(row)
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
            axes.errorbar(nfe, values, yerr=errors, marker="o", markersize=4, capsize=2, label=name)
        for row in mine:
            if row.method == "teacher":
                axes.axhline(
                    max(row.primary, 1e-5), color="black", linestyle=":", label=f"teacher, {row.nfe} calls"
                )
        axes.set(xscale="log", yscale="log", xlabel="network calls (NFE)", ylabel=primary, title=backbone)
        ticks = sorted({row.nfe for row in mine if row.method != "teacher"})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=130)


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
                above.plot([value / table.grid[0] for value in table.grid], marker=".", label=spec.method)
                below.plot(range(1, table.num_steps + 1), table.gains, marker=".", label=spec.method)
        above.set(title=f"{backbone}, NFE {nfe}", ylabel="time, or share masked", xlabel="step")
        below.set(ylabel="gain", xlabel="step", yscale="log")
        above.legend(fontsize=7)
    figure.savefig(path, dpi=130)
