"""Write a page: HTML that needs no other file, numbers as CSV, charts as PNG. Equal results, equal bytes."""

import io
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from flows.pipeline.candidate_seconds import Took
from flows.report import figures
from flows.report.charts import Bar, Drawing, bars
from flows.report.page_data import Entry, PageData
from flows.report.palette import MARKS, classes, style_sheet
from flows.report.png import write_png
from flows.report.sample_drawings import gallery
from flows.report.table_rows import metric_names, metric_text, nats_text, record, short, write_csv
from flows.report.verdict_text import findings, speed_ups, summary
from lsd_core.candidates.teacher import calls_a_path
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


def write(data: PageData, folder: Path, samples: bool = True) -> Written:
    """Leave NAME.html, NAME.csv and NAME.png in a folder; `samples` says whether the page shows any."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(*(folder / f"{data.backbone}.{kind}" for kind in ("html", "csv", "png")))
    written.page.write_text(html(data, samples))
    written.numbers.write_text(numbers(data))
    css, rows = legend(data), [*data.rows, *([data.teacher] if data.teacher else [])]
    drawings = [figures.quality(rows, css), *figures.frontiers(data)]
    write_png(drawings, written.picture, css, data.backbone)
    return written


def html(data: PageData, samples: bool = True) -> str:
    """The page; everything that comes from outside is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_resource("page.html.j2"))
    return template.render(**_context(data, samples)) + "\n"


def numbers(data: PageData) -> str:
    """Every entry with every reported metric, one line each."""
    sink, names = io.StringIO(), metric_names(data.rows)
    write_csv([record(row, names) for row in data.rows], sink)
    return sink.getvalue()


def legend(data: PageData) -> dict[str, str]:
    """Classes of all that is drawn, by name."""
    return classes([*data.rows, *([data.teacher] if data.teacher else [])])


def _context(data: PageData, samples: bool) -> dict[str, Any]:
    css, rows = legend(data), [*data.rows, *([data.teacher] if data.teacher else [])]
    exhibits = gallery(data) if samples else []
    return {
        "data": data,
        "style": Markup(_resource("page.css") + style_sheet(css.values())),
        "facts": _facts(data),
        "summary": summary(data),
        "metric": data.task.primary,
        "diversity": data.task.diversity,
        "champions": [_champion(data, entry, css) for nfe in data.budgets if (entry := data.champion(nfe))],
        "findings": findings(data),
        "failures": sorted(data.failures.items()),
        "legends": list(css.items()),
        "temperatures": _temperatures(data.entries[0]),
        "open_marks": any(name.endswith(mark) for name in css.values() for mark in MARKS if mark),
        "quality": [figures.quality(rows, css), *figures.frontiers(data)],
        "speed": _speed_bars(data, css),
        "tables": figures.tables(data.rows, css),
        "journeys": figures.journeys(data),
        "certificates": figures.certificates(data),
        "references": sorted({row.certificate_reference for row in data.rows} - {""}),
        "costs": [_cost(data, entry) for entry in data.entries],
        "timed": any(entry.spec.work.key in data.seconds for entry in data.entries),
        "exhibits": exhibits,
        "gallery_notes": sorted({exhibit.note for exhibit in exhibits} - {""}),
        "metrics": metric_names(data.rows),
        "rows": [_row(data, entry, css) for entry in data.entries],
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


def _champion(data: PageData, entry: Entry, css: dict[str, str]) -> dict[str, Any]:
    plain, row = data.baseline(entry.spec.nfe), entry.row
    against = ""
    if plain is not None and plain is not entry and plain.row.mean:
        against = f"{row.mean / plain.row.mean:.3g} times"
    speed = next((s.text for s in speed_ups(data) if s.entry is entry and s.telling), "")
    return {
        "nfe": row.nfe,
        "label": row.label,
        "colour": css[row.label],
        "primary": metric_text(row.primary),
        "against": against,
        "entropy": f"{short(row.metrics[row.diversity_metric].mean)} nat",
        "certificate": nats_text(row),
        "speed": speed,
        "uri": f"models:/{data.backbone}@nfe{row.nfe}",
    }


def _speed_bars(data: PageData, css: dict[str, str]) -> list[Drawing]:
    drawn = []
    for nfe in data.budgets:
        mine = sorted(
            (s for s in speed_ups(data) if s.entry.spec.nfe == nfe and s.telling), key=lambda s: -s.factor
        )
        rows = [Bar(s.entry.row.label, s.factor, css[s.entry.row.label], s.text) for s in mine]
        if rows:
            told = "; ".join(f"{row.label}: {row.text}" for row in rows)
            drawn.append(bars(f"{nfe} calls: plain steps need so many times", rows, told))
    return drawn


def _cost(data: PageData, entry: Entry) -> dict[str, Any]:
    spec, card = entry.spec, entry.card
    learning = sum(table.sequences for table in entry.tables) / len(entry.tables)
    teacher = 0 if spec.teacher is None else calls_a_path(spec.teacher) * (spec.trajectories or 0)
    took = data.seconds.get(spec.work.key, Took())
    calls = f"{card.calls.mean:.4g}"
    if calls != str(card.calls.max):
        calls += f" (at most {card.calls.max})"
    return {
        "nfe": spec.nfe,
        "label": entry.row.label,
        "calls": calls,
        "learning": _grouped(learning),
        "teacher": _grouped(teacher),
        "certificate": _grouped(float((card.certificate or {}).get("sequences") or 0)),
        "samples": _grouped(learning / card.calls.mean),
        "learning_s": "" if took.a_table_s is None else f"{took.a_table_s:.3g}",
        "drawing_s": "" if took.a_thousand_s is None else f"{took.a_thousand_s:.3g}",
        "holds": entry is data.champion(spec.nfe),
    }


def _row(data: PageData, entry: Entry, css: dict[str, str]) -> dict[str, Any]:
    row = entry.row
    return {
        "nfe": row.nfe,
        "label": f"{row.label} ({' = '.join(row.samplers)})",
        "colour": css[row.label],
        "cells": [
            metric_text(row.metrics[name]) if name in row.metrics else "" for name in metric_names(data.rows)
        ],
        "certificate": nats_text(row),
        "reference": row.certificate_reference,
        "holds": ", ".join(row.aliases),
    }


def _temperatures(entry: Entry) -> str:
    values = sorted(entry.spec.evaluation.temperatures, reverse=True)
    return "temperatures " + ", ".join(f"{value:g}" for value in values)


def _origin(data: PageData) -> list[str]:
    first, learners = data.entries[0], [e for e in data.entries if e.spec.teacher is not None]
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
    used = {entry.spec.method for entry in data.entries}
    lines += [f"{name}: {method.description}." for name, method in METHODS.items() if name in used]
    record = ", ".join(f"{key} {value}" for key, value in sorted(card.provenance.environment.items()))
    return [*lines, f"Environment: {record}."]


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u2009")


def _resource(name: str) -> str:
    return resources.files("flows.report").joinpath(name).read_text()
