"""From the book to files: the page, its numbers as CSV, its main figures as PNG. Equal results, equal bytes."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from flows.page import figures
from flows.page.book import Book, Entry
from flows.page.gallery import gallery
from flows.page.png import draw_png
from flows.page.svg import Bar, bars
from flows.page.words import findings, speed_ups, summary
from flows.pipeline.timing import Took
from lsd_core.candidates.teacher import calls_a_path
from lsd_core.cards import Metric
from lsd_core.distillation.methods import METHODS


@dataclass(frozen=True)
class Written:
    """The files of one report."""

    page: Path
    numbers: Path
    picture: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return self.page, self.numbers, self.picture


def write(book: Book, folder: Path, samples: bool = True) -> Written:
    """Leave NAME.html, NAME.csv and NAME.png in a folder; `samples` says whether the page shows any."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(*(folder / f"{book.backbone}.{kind}" for kind in ("html", "csv", "png")))
    written.page.write_text(html(book, samples))
    written.numbers.write_text(numbers(book))
    draw_png(book, written.picture)
    return written


def html(book: Book, samples: bool = True) -> str:
    """The page; everything that comes from outside is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_resource("page.html.j2"))
    return template.render(**_context(book, samples)) + "\n"


def numbers(book: Book) -> str:
    """Every entry with every reported metric, one row each."""
    names = _metric_names(book)
    header = ["backbone", "nfe", "method", "samplers", "aliases", "calls_mean", "calls_max", "bound_nats"]
    header += [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    for entry in book.entries:
        report = entry.card.evaluation.report
        found = [report.get(name, Metric(mean=None)) for name in names]
        writer.writerow(
            [
                book.backbone,
                entry.spec.nfe,
                entry.label,
                " ".join(entry.samplers),
                " ".join(entry.aliases),
                entry.card.calls.mean,
                entry.card.calls.max,
                (entry.card.certificate or {}).get("value_nats"),
                *(value for metric in found for value in (metric.mean, metric.low, metric.high)),
            ]
        )
    return sink.getvalue()


def _context(book: Book, samples: bool) -> dict[str, Any]:
    tint = figures.colours(book)
    first = book.entries[0]
    exhibits = gallery(book) if samples else []
    return {
        "book": book,
        "style": Markup(_resource("page.css") + _colour_rules(tint.values())),
        "facts": _facts(book),
        "summary": summary(book),
        "metric": book.task.primary,
        "diversity": book.task.diversity,
        "champions": [_champion(book, entry, tint) for nfe in book.budgets if (entry := book.champion(nfe))],
        "findings": findings(book),
        "failures": sorted(book.failures.items()),
        "legends": [*tint.items(), *([("teacher", "teacher")] if book.teacher else [])],
        "temperatures": _temperatures(first),
        "open_marks": any(name.endswith(" open") for name in tint.values()),
        "quality": [figures.quality(book), *figures.frontiers(book)],
        "speed": _speed_bars(book, tint),
        "tables": figures.tables(book),
        "journeys": figures.journeys(book),
        "certificates": figures.certificates(book),
        "reference": _reference(book),
        "costs": [_cost(book, entry) for entry in book.entries],
        "timed": any(entry.spec.work.key in book.seconds for entry in book.entries),
        "exhibits": exhibits,
        "gallery_text": _gallery_text(book),
        "metrics": _metric_names(book),
        "rows": [_row(book, entry, tint) for entry in book.entries],
        "origin": _origin(book),
    }


def _facts(book: Book) -> list[str]:
    spec = book.entries[0].spec
    evaluation = spec.evaluation
    return [
        f"{spec.backbone.family} network, {spec.process['kind']} process",
        f"length {spec.length}",
        f"{evaluation.samples} samples x {evaluation.seeds} seeds",
        f"judge {book.entries[0].card.evaluation.judge}",
        f"weights {spec.backbone.fingerprint[:12]}",
    ]


def _champion(book: Book, entry: Entry, tint: dict[str, str]) -> dict[str, Any]:
    plain = book.baseline(entry.spec.nfe)
    against = ""
    if plain is not None and plain is not entry and plain.card.primary.mean:
        against = f"{(entry.card.primary.mean or 0) / plain.card.primary.mean:.3g} times"
    speed = next((s.text for s in speed_ups(book) if s.entry is entry and s.telling), "")
    return {
        "nfe": entry.spec.nfe,
        "label": entry.label,
        "colour": tint[entry.label],
        "primary": _interval(entry.card.primary),
        "against": against,
        "entropy": f"{_short(entry.card.diversity.mean)} nat",
        "speed": speed,
        "uri": f"models:/{book.backbone}@nfe{entry.spec.nfe}",
    }


def _speed_bars(book: Book, tint: dict[str, str]) -> list[Markup]:
    drawn = []
    for nfe in book.budgets:
        mine = sorted(
            (s for s in speed_ups(book) if s.entry.spec.nfe == nfe and s.telling), key=lambda s: -s.factor
        )
        rows = [Bar(s.entry.label, s.factor, tint[s.entry.label], s.text) for s in mine]
        if rows:
            told = "; ".join(f"{row.label}: {row.text}" for row in rows)
            drawn.append(bars(f"{nfe} calls: plain steps need so many times", rows, told))
    return drawn


def _cost(book: Book, entry: Entry) -> dict[str, Any]:
    spec, card = entry.spec, entry.card
    learning = sum(table.sequences for table in entry.tables) / len(entry.tables)
    teacher = 0 if spec.teacher is None else calls_a_path(spec.teacher) * (spec.trajectories or 0)
    took = book.seconds.get(spec.work.key, Took())
    calls = f"{card.calls.mean:.4g}"
    if calls != str(card.calls.max):
        calls += f" (at most {card.calls.max})"
    return {
        "nfe": spec.nfe,
        "label": entry.label,
        "calls": calls,
        "learning": _grouped(learning),
        "teacher": _grouped(teacher),
        "certificate": _grouped(float((card.certificate or {}).get("sequences") or 0)),
        "samples": _grouped(learning / card.calls.mean),
        "learning_s": "" if took.a_table_s is None else f"{took.a_table_s:.3g}",
        "drawing_s": "" if took.a_thousand_s is None else f"{took.a_thousand_s:.3g}",
        "holds": entry is book.champion(spec.nfe),
    }


def _row(book: Book, entry: Entry, tint: dict[str, str]) -> dict[str, Any]:
    report, bound = entry.card.evaluation.report, (entry.card.certificate or {}).get("value_nats")
    return {
        "nfe": entry.spec.nfe,
        "label": f"{entry.label} ({' = '.join(entry.samplers)})",
        "colour": tint[entry.label],
        "cells": [_interval(report[name]) if name in report else "" for name in _metric_names(book)],
        "bound": "" if bound is None else f"{bound:.4g}",
        "holds": ", ".join(entry.aliases),
    }


def _metric_names(book: Book) -> list[str]:
    """The deciding metric, the diversity metric, then the rest by name."""
    known = {name for entry in book.entries for name in entry.card.evaluation.report}
    first = [book.task.primary, book.task.diversity]
    return [*first, *sorted(known - set(first))]


def _temperatures(entry: Entry) -> str:
    values = sorted(entry.spec.evaluation.temperatures, reverse=True)
    return "temperatures " + ", ".join(f"{value:g}" for value in values)


def _reference(book: Book) -> str:
    found = {str(e.card.certificate["reference"]) for e in book.entries if e.card.certificate}
    return "; ".join(sorted(found)) or "the network"


def _gallery_text(book: Book) -> str:
    text = "The same seeds through plain steps and the champion of each budget, not chosen by anyone."
    strips = " A bar is a token; red ones break the rule." if book.task.name == "countdown" else ""
    return text + strips


def _origin(book: Book) -> list[str]:
    first, learners = book.entries[0], [e for e in book.entries if e.spec.teacher is not None]
    card = first.card
    lines = [
        f"Store {book.store.url}; weights {card.backbone.fingerprint}; code epoch {card.provenance.code_epoch}.",
        f"Selection on {first.spec.evaluation.selection_samples} samples a seed, report on "
        f"{first.spec.evaluation.samples} fresh ones; equal seeds share their uniforms, so samples are paired.",
        "The median seed by selection ships. Intervals are Student's t over seeds from three seeds on, a "
        "bootstrap over samples below.",
    ]
    if book.teacher is not None and learners:
        spec = learners[0].spec
        lines.append(
            f"Teacher {book.teacher_name}, {spec.trajectories} trajectories, spec "
            f"{spec.teacher.hash if spec.teacher else ''}."
        )
    used = {entry.spec.method for entry in book.entries}
    lines += [f"{name}: {method.description}." for name, method in METHODS.items() if name in used]
    record = ", ".join(f"{key} {value}" for key, value in sorted(card.provenance.environment.items()))
    return [*lines, f"Environment: {record}."]


def _colour_rules(names: Iterable[str]) -> str:
    """A rule for each colour in use; the names are our own, never input."""
    colours = {name.split()[0] for name in names}
    return "".join(f".c-{name}{{--c:var(--{name})}}" for name in sorted(colours))


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return _short(metric.mean)
    return f"{_short(metric.mean)} ({_short(metric.low)} to {_short(metric.high)})"


def _short(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u2009")


def _resource(name: str) -> str:
    return resources.files("flows.page").joinpath(name).read_text()
