"""Write a page: HTML that needs no other file, numbers as CSV, charts as PNG. Equal results, equal bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from flows.report import figures
from flows.report.csv_columns import metric_names, record, write_csv
from flows.report.figure_filters import filtered
from flows.report.number_text import metric_text, nats_text
from flows.report.page_data import Entry, PageData
from flows.report.page_tables import comparisons, costs_table, numbers_table, orders_table
from flows.report.palette import MARKS, classes, style_sheet
from flows.report.png import write_png
from flows.report.recommendation import Recommendation, recommendations
from flows.report.sample_drawings import gallery
from flows.report.sortable_table import FACETS, facet_values, rules
from flows.report.verdict_text import findings, losses, summary
from lsd_core.distillation.methods import METHODS
from lsd_core.numerics.number_text import entropy_text

ANSWERS = ("calls", "use", "against plain steps", "against confidence-based unmasking", "how sure")


@dataclass(frozen=True)
class Written:
    """The files of one report."""

    page: Path
    numbers: Path
    picture: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return self.page, self.numbers, self.picture


def write(data: PageData, folder: Path, samples: bool = True) -> Written:
    """Leave NAME.html, NAME.csv and NAME.png in a folder; `samples` says whether the page shows any."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(*(folder / f"{data.backbone}.{kind}" for kind in ("html", "csv", "png")))
    written.page.write_text(html(data, samples))
    written.numbers.write_text(numbers(data))
    css = classes(data.drawn)
    write_png(
        [figures.quality(data.drawn, css), *figures.frontiers(data)], written.picture, css, data.backbone
    )
    return written


def html(data: PageData, samples: bool = True) -> str:
    """The page; everything that comes from outside is escaped."""
    return _template().render(**_context(data, samples)) + "\n"


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("page.html.j2"))


def numbers(data: PageData) -> str:
    """Every entry with every reported metric, one line each."""
    sink, names = io.StringIO(), metric_names(data.rows)
    write_csv([record(row, names) for row in data.rows], sink)
    return sink.getvalue()


def _context(data: PageData, samples: bool) -> dict[str, Any]:
    css = classes(data.drawn)
    exhibits = gallery(data) if samples else []
    tables = compared, costs, listed = (
        comparisons(data, css),
        costs_table(data, css),
        numbers_table(data, css),
    )
    values = facet_values(tables)
    shown = filtered(css, data.rows, listed.lines, values)
    marks = shown.marks
    return {
        "data": data,
        "style": Markup(_resource("page.css") + style_sheet(css.values()) + rules(tables)),
        "facts": _facts(data),
        "summary": summary(data),
        "metric": data.task.primary,
        "diversity": data.task.diversity,
        "answers": ANSWERS,
        "cards": _cards(data, css),
        "losses": losses(data),
        "failures": sorted(data.failures.items()),
        "legends": list(css.items()),
        "shown": shown,
        "temperatures": _temperatures(data.entries[0]),
        "open_marks": any(name.endswith(mark) for name in css.values() for mark in MARKS if mark),
        "quality": [figures.quality(data.drawn, marks), *figures.frontiers(data, marks)],
        "speed": figures.speed_bars(data, marks),
        "tables": figures.tables(data.rows, marks),
        "journeys": figures.journeys(data, marks),
        "certificates": figures.certificates(data, marks),
        "orders": orders_table(data, css),
        "references": sorted({row.certificate_reference for row in data.rows} - {""}),
        "timed": any(entry.spec.work.key in data.seconds for entry in data.entries),
        "exhibits": exhibits,
        "gallery_notes": sorted({exhibit.note for exhibit in exhibits} - {""}),
        "comparisons": compared,
        "costs": costs,
        "numbers": listed,
        "facets": list(zip(FACETS, values, strict=True)),
        "origin": _origin(data),
    }


def _facts(data: PageData) -> list[str]:
    spec = data.entries[0].spec
    evaluation = spec.evaluation
    return [
        f"{spec.backbone.family} network, {spec.process['kind']} process",
        f"length {spec.length}",
        f"{evaluation.samples} samples x {evaluation.seeds} seeds",
        f"judge {data.entries[0].card.evaluation.judge}",
        f"weights {spec.backbone.fingerprint[:12]}",
    ]


def _cards(data: PageData, css: dict[str, str]) -> list[dict[str, Any]]:
    """A card for each budget that has a champion."""
    said = {finding.nfe: finding.sentences for finding in findings(data)}
    return [_card(data, each, css, said.get(each.entry.spec.nfe, ())) for each in recommendations(data)]


def _card(
    data: PageData, found: Recommendation, css: dict[str, str], sentences: Sequence[str]
) -> dict[str, Any]:
    row, proved = found.entry.row, found.entry.row.certificate_proves
    return {
        "row": row,
        "found": found,
        "colour": css[row.label],
        "primary": metric_text(row.primary),
        "entropy": f"{entropy_text(row.entropy)} nat",
        "certificate": f"{nats_text(row)}, so {proved}" if proved and nats_text(row) != "0" else proved,
        "sentences": sentences,
        "uri": f"models:/{data.backbone}@nfe{row.nfe}{data.entries[0].spec.evaluation.alias_suffix}",
    }


def _temperatures(entry: Entry) -> str:
    values = sorted(entry.spec.evaluation.temperatures, reverse=True)
    return "temperatures " + ", ".join(f"{value:g}" for value in values)


def _origin(data: PageData) -> list[str]:
    first, learners = data.entries[0], [e for e in data.entries if e.spec.taught_as_measured]
    card = first.card
    lines = [
        f"Store {data.store.url}; weights {card.backbone.fingerprint}; code epoch {card.provenance.code_epoch}.",
        f"Selection on {first.spec.evaluation.selection_samples} samples a seed, report on "
        f"{first.spec.evaluation.samples} fresh ones; equal seeds share their uniforms, so samples are paired.",
        "The median seed by selection ships. Intervals are Student's t over seeds from three seeds on, a "
        "bootstrap over samples below.",
    ]
    if data.teacher is not None and learners:
        spec = learners[0].spec
        lines.append(
            f"Teacher {data.teacher_name}, {spec.trajectories} trajectories, spec "
            f"{spec.teacher.hash if spec.teacher else ''}."
        )
    if given := first.spec.evaluation.conditions:
        low, high = given["free"]
        lines.append(
            f"Given: {given['templates']} templates of set {given['digest']} that nothing was learned on, with "
            f"{low} to {high} free positions; nothing for a share of {given['unconditional']:g}."
            if given["held_out"]
            else f"Given: all {given['templates']} templates of set {given['digest']}, {low} to {high} free positions."
        )
    used = {entry.spec.method for entry in data.entries}
    lines += [f"{name}: {method.description}." for name, method in METHODS.items() if name in used]
    record = ", ".join(f"{key} {value}" for key, value in sorted(card.provenance.environment.items()))
    return [*lines, f"Environment: {record}."]


def _resource(name: str) -> str:
    return resources.files("flows.report").joinpath(name).read_text()
