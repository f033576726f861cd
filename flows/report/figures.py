"""Charts of rows: quality against calls and entropy, step tables, gains while they are learned, certificates."""

from collections.abc import Mapping, Sequence

import numpy as np

from flows.grouping import grouped
from flows.report.charts import Axis, Bar, Chart, axis, bars
from flows.report.number_text import nats_text
from flows.report.page_data import Entry, PageData
from flows.report.palette import classes
from flows.report.shapes import Drawing
from flows.report.table_rows import REFERENCES, TEACHER, Row
from flows.report.verdict_text import speed_ups
from lsd_core.distillation.methods import TEMPERATURE
from lsd_core.numerics.number_text import ERRORS, entropy_text, short
from lsd_core.statistics.pca import principal_plane

FLOOR = 1e-5  # where an error of zero is drawn on a logarithmic axis


def quality(rows: Sequence[Row], css: Mapping[str, str], title: str = "") -> Drawing:
    """Primary metric against network calls, with 95% intervals; a large mark holds the alias of its budget.

    `rows` are of one backbone and have labels, of which `css` gives the classes; the references' are levels.
    """
    drawn = [row for row in rows if row.method not in REFERENCES]
    references = [row for row in rows if row.method in REFERENCES]
    metric, budgets = drawn[0].primary_metric, sorted({row.nfe for row in drawn})
    values = [max(v, FLOOR) for row in drawn for v in (row.mean, *row.interval)]
    chart = Chart(
        title or f"{metric} against network calls",
        axis(budgets, "network calls a sample (NFE)", "log", ticks=budgets),
        axis([*values, *(max(row.mean, FLOOR) for row in references)], f"{metric} (lower is better)", "log"),
        described="; ".join(f"{row.label} at {row.nfe}: {short(row.mean)}" for row in drawn),
    )
    for label, alike in grouped(drawn, lambda row: row.label).items():
        mine = sorted(alike, key=lambda row: row.nfe)
        chart.line([(row.nfe, max(row.mean, FLOOR)) for row in mine], css[label], _style(mine[0]))
        for row in mine:
            low, high = (max(value, FLOOR) for value in row.interval)
            chart.whisker(row.nfe, low, high, css[label])
            holds = f"nfe{row.nfe}" in row.aliases
            chart.dot((row.nfe, max(row.mean, FLOOR)), css[label], hover(row), big=holds)
    chart.levels([(max(row.mean, FLOOR), row.label) for row in references])
    return chart.drawn()


def frontiers(data: PageData, css: Mapping[str, str] | None = None) -> list[Drawing]:
    """For each budget, error against entropy: a line along the temperatures of what was swept, else a dot."""
    return [_frontier(data, nfe, css or classes(data.rows)) for nfe in data.budgets]


def _frontier(data: PageData, nfe: int, css: Mapping[str, str]) -> Drawing:
    entries = data.at(nfe)
    every = [row for entry in entries for row in (entry.row, *entry.sweep)]
    every += [data.teacher] if data.teacher else []
    chart = Chart(
        f"{nfe} calls",
        axis([row.entropy for row in every], f"{data.task.diversity} (nat)", pad=0.1),
        axis([max(row.mean, FLOOR) for row in every], data.task.primary, "log", pad=0.1),
        described="; ".join(
            f"{e.row.label}: {short(e.row.mean)} at {entropy_text(e.row.entropy)} nat" for e in entries
        ),
        nfe=nfe,
    )
    for entry in entries:
        line = [row for row in entry.sweep if np.isfinite([row.mean, row.entropy]).all()]
        colour = css[entry.row.label]
        if len(line) > 1:
            lower, upper = ([(row.entropy, max(row.interval[end], FLOOR)) for row in line] for end in (0, 1))
            chart.band(lower, upper, colour)
            chart.line([_place(row) for row in line], colour, _style(entry.row))
        for row in line:
            chart.dot(_place(row), colour, hover(row))
    for entry in entries:
        chart.dot(_place(entry.row), css[entry.row.label], hover(entry.row), big=entry is data.champion(nfe))
    if data.teacher is not None:
        chart.dot(_place(data.teacher), TEACHER, hover(data.teacher))
    return chart.drawn()


def tables(rows: Sequence[Row], css: Mapping[str, str], prefix: str = "") -> list[Drawing]:
    """For each budget the grids and, where there are any, the gains of what ships, step by step."""
    drawn = []
    shown = [row for row in rows if row.step_table is not None and row.method != TEMPERATURE]
    for nfe, alike in sorted(grouped(shown, lambda row: row.nfe).items()):
        mine = [(row, row.step_table) for row in alike if row.step_table is not None]
        grid, gain = (
            Chart(
                f"{prefix}{nfe} calls: {title}",
                _steps(max(table.num_steps for _, table in mine)),
                y,
                described="; ".join(
                    f"{row.label}: {', '.join(f'{value:.3g}' for value in getattr(table, values))}"
                    for row, table in mine
                ),
                nfe=nfe,
            )
            for title, values, y in (
                (
                    "where it steps",
                    "grid",
                    axis([0, 1], "share of the way left", ticks=(0, 0.25, 0.5, 0.75, 1)),
                ),
                ("gain by step", "gains", axis([1.0, *(g for _, t in mine for g in t.gains)], "gain", "log")),
            )
        )
        gain.levels([(1.0, "no gain")])
        for row, table in sorted(reversed(mine), key=lambda each: f"nfe{nfe}" in each[0].aliases):
            colour, shares = (
                css[row.label],
                [(k, value / table.grid[0]) for k, value in enumerate(table.grid)],
            )
            style = "champion" if f"nfe{nfe}" in row.aliases else _style(row)
            grid.line(shares, colour, style)
            for k, share in shares:
                grid.dot((k, share), colour, f"{row.label}, after step {k}: {table.grid[k]:.4g}")
            if any(value != 1 for value in table.gains):
                gain.steps([*enumerate(table.gains), (table.num_steps, table.gains[-1])], colour, style)
        with_gains = any(value != 1 for _, table in mine for value in table.gains)
        drawn += [grid.drawn(), gain.drawn()] if with_gains else [grid.drawn()]
    return drawn


def _steps(most: int) -> Axis:
    ticks = sorted({round(k) for k in np.linspace(0, most, min(most, 8) + 1)})
    return axis([0, most], "step", ticks=ticks, pad=0.02)


def journeys(data: PageData, css: Mapping[str, str] | None = None) -> list[Drawing]:
    """How the gains moved while they were learned: every epoch of every seed in one principal plane."""
    css = css or classes(data.rows)
    found = [(entry, gains_by_epoch(entry)) for nfe in data.budgets for entry in data.at(nfe)]
    return [_journey(css[entry.row.label], entry, paths) for entry, paths in found if paths]


def gains_by_epoch(entry: Entry) -> list[np.ndarray]:
    """Gains (epochs, steps) of each seed, for methods that learn them epoch by epoch."""
    histories = [table.history.get("gains", []) for table in entry.tables]
    paths = [
        np.array(history, dtype=float) for history in histories if history and isinstance(history[0], list)
    ]
    return [path for path in paths if len(path) > 1 and np.isfinite(path).all()]


def _journey(colour: str, entry: Entry, paths: Sequence[np.ndarray]) -> Drawing:
    plane = principal_plane(np.concatenate(paths))
    first, second = plane.explained
    chart = Chart(
        f"{entry.row.label}, {entry.row.nfe} calls",
        axis(plane.points[:, 0].tolist(), f"first component ({first:.0%} of the variance)", pad=0.1),
        axis(plane.points[:, 1].tolist(), f"second ({second:.0%})", pad=0.14),
        described=f"{len(paths)} seeds, {len(paths[0])} points each",
        nfe=entry.row.nfe,
    )
    begin = 0
    for number, path in enumerate(paths):
        points = [(float(x), float(y)) for x, y in plane.points[begin : begin + len(path)]]
        begin += len(path)
        chart.line(points, colour, "control" if number else "")
        for epoch, point in enumerate(points):
            chart.dot(point, colour, f"seed {number}, epoch {epoch + 1}", big=epoch == len(points) - 1)
        if number == 0:
            chart.note(*points[0], " start")
    return chart.drawn()


def certificates(data: PageData, css: Mapping[str, str] | None = None) -> list[Drawing]:
    """For each budget, the certificates in nats with two standard errors; what has none is left out."""
    css, drawn = css or classes(data.rows), []
    for nfe in data.budgets:
        rows = sorted((e.row for e in data.at(nfe)), key=lambda row: row.certificate_value_nats or 0.0)
        certified = [
            Bar(row.label, value, css[row.label], nats_text(row), ERRORS * row.certificate_standard_error)
            for row in rows
            if (value := row.certificate_value_nats) is not None
        ]
        if certified:
            described = "; ".join(f"{bar.label}: {bar.text} nat" for bar in certified)
            drawn.append(bars(f"{nfe} calls: certificate_value_nats", certified, described, nfe=nfe))
    return drawn


def speed_bars(data: PageData, css: Mapping[str, str] | None = None) -> list[Drawing]:
    """For each budget, how many times its calls plain steps need for the same error."""
    css, found, drawn = css or classes(data.rows), grouped(speed_ups(data), lambda s: s.entry.row.nfe), []
    for nfe in data.budgets:
        mine = sorted((s for s in found.get(nfe, ()) if s.telling), key=lambda s: -s.factor)
        rows = [Bar(s.entry.row.label, s.factor, css[s.entry.row.label], s.text) for s in mine]
        if rows:
            described = "; ".join(f"{row.label}: {row.text}" for row in rows)
            drawn.append(bars(f"{nfe} calls: plain steps need so many times", rows, described, nfe=nfe))
    return drawn


def hover(row: Row) -> str:
    """What is said of a row when its mark is pointed at."""
    low, high = row.interval
    interval = "" if low == high else f" ({short(low)} to {short(high)})"
    error = f"{row.primary_metric} {short(row.mean)}{interval}"
    return f"{row.label}, {row.nfe} calls: {error}, {entropy_text(row.entropy)} nat"


def _place(row: Row) -> tuple[float, float]:
    return row.entropy, max(row.mean, FLOOR)


def _style(row: Row) -> str:
    """Controls are dashed."""
    return "" if row.learned else "control"
