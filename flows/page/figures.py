"""The page's figures, drawn from the book."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from flows.page.book import Book, Entry
from flows.page.svg import Bar, Chart, axis, bars
from flows.pipeline.standings import family
from lsd_core.distillation.methods import METHODS, get_method
from lsd_core.samplers import place_of
from lsd_core.statistics.pca import principal_plane

FLOOR = 1e-5  # where an error of zero is drawn on a logarithmic axis
PALETTE = 10
MOST_NAMED = 4  # dots of a frontier that carry their temperature


def colours(book: Book) -> dict[str, str]:
    """Classes of the style sheet for each label: methods we know keep their colour, others take the rest.

    Marks of a method on any but the first base sampler are open.
    """
    first = min((entry.spec.sampler for entry in book.entries), key=place_of)
    tint, rest = dict[str, str](), 0
    for entry in book.entries:
        method, sampler = entry.spec.method, entry.spec.sampler
        if entry.label in tint:
            continue
        if entry.label == method:
            tint[entry.label] = method
        elif entry.label == f"{method}, {sampler}" and method in METHODS:
            tint[entry.label] = method if sampler == first else f"{method} open"
        else:
            tint[entry.label] = f"x{rest % PALETTE}"
            rest += 1
    return tint


def quality(book: Book) -> Markup:
    """Primary metric against network calls, with 95% intervals."""
    tint, metric = colours(book), book.task.primary
    values = [max(v, FLOOR) for e in book.entries for v in _interval(e)]
    teacher = None if book.teacher is None else book.teacher.metrics[metric]
    if teacher is not None:
        values.append(max(teacher, FLOOR))
    chart = Chart(
        f"{metric} against network calls",
        axis(book.budgets, "network calls a sample (NFE)", "log", ticks=book.budgets),
        axis(values, f"{metric} (lower is better)", "log"),
        described="; ".join(f"{e.label} at {e.spec.nfe}: {_mean(e):.4g}" for e in book.entries),
    )
    for label in dict.fromkeys(entry.label for entry in book.entries):
        mine = sorted((e for e in book.entries if e.label == label), key=lambda e: e.spec.nfe)
        style = "" if mine[0].learned else "control"
        chart.line([(e.spec.nfe, max(_mean(e), FLOOR)) for e in mine], tint[label], style)
        for entry in mine:
            mean, low, high = (max(v, FLOOR) for v in _interval(entry))
            chart.whisker(entry.spec.nfe, low, high, tint[label])
            holds = entry is book.champion(entry.spec.nfe)
            chart.dot((entry.spec.nfe, mean), tint[label], _hover(entry, metric), big=holds)
    if teacher is not None and book.teacher is not None:
        chart.level(max(teacher, FLOOR), f"teacher, {book.teacher.calls_max} calls")
    return chart.svg()


def frontiers(book: Book) -> list[Markup]:
    """For each budget, error against entropy: a control's sweep of temperatures is a curve, the rest are dots."""
    return [_frontier(book, nfe) for nfe in book.budgets]


def _frontier(book: Book, nfe: int) -> Markup:
    tint, entries = colours(book), book.at(nfe)
    sweeps = {
        entry.label: sorted(family(book.store, entry.spec), key=lambda point: point.entropy)
        for entry in entries
        if get_method(entry.spec.method).sweep
    }
    swept = [(point.entropy, max(float(point.report.mean()), FLOOR)) for s in sweeps.values() for point in s]
    dots = {e.label: (_entropy(e), max(_mean(e), FLOOR)) for e in entries}
    every = [*swept, *dots.values()]
    teacher = None if book.teacher is None else book.teacher.metrics
    if teacher is not None:
        every.append((teacher[book.task.diversity], max(teacher[book.task.primary], FLOOR)))
    chart = Chart(
        f"{nfe} calls",
        axis([x for x, _ in every], f"{book.task.diversity} (nat)", pad=0.1),
        axis([y for _, y in every], book.task.primary, "log", pad=0.1),
        described="; ".join(f"{label}: {y:.4g} at {x:.3f} nat" for label, (x, y) in dots.items()),
    )
    for label, points in sweeps.items():
        curve = [(p.entropy, max(float(p.report.mean()), FLOOR)) for p in points]
        chart.line(curve, tint[label], "control")
        for point, at in zip(points, curve, strict=True):
            chart.dot(
                at, tint[label], f"{label} at temperature {point.temperature:g}: {at[1]:.4g}, {at[0]:.3f} nat"
            )
    for entry in entries:
        holds = entry is book.champion(nfe)
        chart.dot(dots[entry.label], tint[entry.label], _hover(entry, book.task.primary), big=holds)
    if teacher is not None:
        chart.dot(every[-1], "teacher", f"teacher: {every[-1][1]:.4g}, {every[-1][0]:.3f} nat")
    return chart.svg()


def tables(book: Book) -> list[Markup]:
    """For each budget the grids and, where there are any, the gains of what ships, step by step."""
    tint = colours(book)
    drawn = []
    for nfe in book.budgets:
        entries = [entry for entry in book.at(nfe) if entry.spec.method != "temperature"]
        most = max(entry.card.steps for entry in entries)
        ticks = sorted({round(k) for k in np.linspace(0, most, min(most, 8) + 1)})
        grid = Chart(
            f"{nfe} calls: where it steps",
            axis([0, most], "step", ticks=ticks, pad=0.02),
            axis([0, 1], "share of the way left", ticks=(0, 0.25, 0.5, 0.75, 1)),
            described="; ".join(f"{e.label}: {_grid_text(e)}" for e in entries),
        )
        gains = [gain for entry in entries for gain in entry.card.step_table.gains]
        gain = Chart(
            f"{nfe} calls: gain by step",
            axis([0, most], "step", ticks=ticks, pad=0.02),
            axis([*gains, 1.0], "gain", "log"),
            described="; ".join(
                f"{e.label}: {', '.join(f'{g:.3g}' for g in e.card.step_table.gains)}" for e in entries
            ),
        )
        gain.level(1.0, "no gain")
        for entry in reversed(entries):
            table, style = entry.card.step_table, "" if entry.learned else "control"
            shares = [(k, value / table.grid[0]) for k, value in enumerate(table.grid)]
            grid.line(shares, tint[entry.label], style)
            for k, share in shares:
                grid.dot((k, share), tint[entry.label], f"{entry.label}, after step {k}: {table.grid[k]:.4g}")
            if any(value != 1 for value in table.gains):
                gain.steps([*enumerate(table.gains), (table.num_steps, table.gains[-1])], tint[entry.label])
        drawn += [grid.svg(), gain.svg()] if any(value != 1 for value in gains) else [grid.svg()]
    return drawn


def journeys(book: Book) -> list[Markup]:
    """How the gains moved while they were learned: every epoch of every seed in one principal plane."""
    drawn = []
    for nfe in book.budgets:
        for entry in book.at(nfe):
            paths = gains_by_epoch(entry)
            if paths:
                drawn.append(_journey(book, entry, paths))
    return drawn


def gains_by_epoch(entry: Entry) -> list[np.ndarray]:
    """Gains (epochs, steps) of each seed, for methods that learn them epoch by epoch."""
    histories = [table.history.get("gains", []) for table in entry.tables]
    paths = [
        np.array(history, dtype=float) for history in histories if history and isinstance(history[0], list)
    ]
    return [path for path in paths if len(path) > 1 and np.isfinite(path).all()]


def _journey(book: Book, entry: Entry, paths: Sequence[np.ndarray]) -> Markup:
    plane = principal_plane(np.concatenate(paths))
    first, second = plane.explained
    chart = Chart(
        f"{entry.label}, {entry.spec.nfe} calls",
        axis(plane.points[:, 0].tolist(), f"first component ({first:.0%} of the variance)", pad=0.1),
        axis(plane.points[:, 1].tolist(), f"second ({second:.0%})", pad=0.14),
        described=f"{len(paths)} seeds, {len(paths[0])} points each",
    )
    colour, begin = colours(book)[entry.label], 0
    for number, path in enumerate(paths):
        points = [(float(x), float(y)) for x, y in plane.points[begin : begin + len(path)]]
        begin += len(path)
        chart.line(points, colour, "control" if number else "")
        for epoch, point in enumerate(points):
            chart.dot(point, colour, f"seed {number}, epoch {epoch + 1}", big=epoch == len(points) - 1)
        if number == 0:
            chart.note(*points[0], " start")
    return chart.svg()


def certificates(book: Book) -> list[Markup]:
    """For each budget, the bounds in nats; what has none is left out."""
    tint, drawn = colours(book), []
    for nfe in book.budgets:
        rows = []
        for entry in sorted(book.at(nfe), key=lambda e: _bound(e) or 0.0):
            certificate, bound = entry.card.certificate, _bound(entry)
            if certificate is not None and bound is not None:
                error = 1.96 * float(certificate.get("standard_error") or 0.0)
                rows.append(Bar(entry.label, bound, tint[entry.label], f"{bound:.3g}", error))
        if rows:
            told = "; ".join(f"{row.label}: {row.text} nat" for row in rows)
            drawn.append(bars(f"{nfe} calls: bound in nats", rows, told))
    return drawn


def _bound(entry: Entry) -> float | None:
    value = (entry.card.certificate or {}).get("value_nats")
    return None if value is None else float(value)


def _interval(entry: Entry) -> tuple[float, float, float]:
    metric, mean = entry.card.primary, _mean(entry)
    return mean, mean if metric.low is None else metric.low, mean if metric.high is None else metric.high


def _mean(entry: Entry) -> float:
    return float("nan") if entry.card.primary.mean is None else entry.card.primary.mean


def _entropy(entry: Entry) -> float:
    return float("nan") if entry.card.diversity.mean is None else entry.card.diversity.mean


def _hover(entry: Entry, metric: str) -> str:
    mean, low, high = _interval(entry)
    where = f"{entry.label}, {entry.spec.nfe} calls"
    return f"{where}: {metric} {mean:.4g} ({low:.4g} to {high:.4g}), {_entropy(entry):.3f} nat"


def _grid_text(entry: Entry) -> str:
    return ", ".join(f"{value:.3g}" for value in entry.card.step_table.grid)
