"""The report of a run: a table for the terminal, table.csv, verdicts.md, quality.png and tables.png."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rich import box
from rich.table import Table

from flows.grouping import grouped
from flows.pipeline.run import Run
from flows.report import figures
from flows.report.csv_columns import metric_names, record, write_csv
from flows.report.leading import leading
from flows.report.number_text import certificate_cell, gap_text, reference_notes, references_of
from flows.report.palette import classes
from flows.report.png import sheet, write_png
from flows.report.table_rows import Row, distinct
from lsd_core.numerics.markdown import escaped
from lsd_core.numerics.number_text import entropy_text, short
from lsd_core.statistics.promotion import Verdict
from lsd_core.tasks.catalog import Task


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Rows of all samplers, verdicts by backbone and alias, and why what failed did."""

    rows: list[Row]
    verdicts: Mapping[str, Mapping[str, Verdict]]
    failures: Mapping[str, str]
    alias_suffixes: Mapping[str, str] = field(default_factory=dict)
    """By backbone: what its aliases end in in the registry, where something is given."""

    @property
    def summary(self) -> str:
        """One line."""
        learned = sum(verdict.won for mine in self.verdicts.values() for verdict in mine.values())
        aliases = sum(len(mine) for mine in self.verdicts.values())
        return f"{len(self.rows)} rows; learned samplers hold {learned} of {aliases} aliases"

    @cached_property
    def by_backbone(self) -> Mapping[str, list[Row]]:
        """The rows of each backbone."""
        return grouped(self.rows, lambda row: row.backbone)

    def rows_of(self, backbone: str) -> list[Row]:
        """The rows of a backbone, those with equal step kernels as one."""
        return distinct(self.by_backbone.get(backbone, []))


def table_of(backbone: str, outcome: Outcome, task: Task) -> Table:
    """The rows of one backbone: best first within each budget, holders of aliases in bold.

    Fits 80 columns: base samplers with equal step kernels share a row, and what is left out is in table.csv.
    """
    rows = outcome.rows_of(backbone)
    equal = sorted({" = ".join(row.samplers) for row in rows if len(row.samplers) > 1})
    references = references_of(rows)
    said = [f"one step kernel, computed once: {', '.join(equal)}"] if equal else []
    said += reference_notes(references)
    said += [gap for row in rows if (gap := gap_text(row))]
    table = Table(
        title=f"{backbone}: lower {task.primary} is better",
        caption="\n".join(said) or None,
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("NFE", justify="right")
    table.add_column("method")
    for column in (task.primary, "entropy", *task.columns, "nats"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("holds")
    last = None
    for row in rows:
        if last is not None and row.nfe != last:
            table.add_section()
        last = row.nfe
        low, high = row.interval
        others = [row.metrics[name].mean if name in row.metrics else None for name in task.columns]
        table.add_row(
            str(row.nfe),
            row.label,
            short(row.mean) + (f" ± {(high - low) / 2:.2g}" if high > low else ""),
            entropy_text(row.entropy),
            *("" if value is None else short(value) for value in others),
            certificate_cell(row, references),
            min(row.aliases, key=len, default=""),
            style="bold" if row.aliases else "",
        )
    return table


def write_report(run: Run, outcome: Outcome) -> Path:
    """Leave table.csv, verdicts.md and the charts in the reports folder, and return it."""
    folder = run.settings.reports / run.plan.config.name
    folder.mkdir(parents=True, exist_ok=True)
    names = metric_names(outcome.rows)
    with (folder / "table.csv").open("w", newline="") as file:
        write_csv([record(row, names) for row in outcome.rows], file)
    (folder / "verdicts.md").write_text(verdicts_markdown(outcome))
    if not outcome.rows:  # every candidate failed: there is nothing to draw
        return folder
    shown = {backbone: outcome.rows_of(backbone) for backbone in outcome.verdicts}
    css = classes([row for rows in shown.values() for row in rows])
    lines = {backbone: leading(rows) for backbone, rows in shown.items()}
    quality = sheet(figures.quality(rows, css, backbone) for backbone, rows in lines.items() if rows)
    if quality:
        named = {row.label for rows in lines.values() for row in rows}
        write_png(quality, folder / "quality.png", {label: css[label] for label in css if label in named})
    prefix = (lambda backbone: f"{backbone}, ") if len(shown) > 1 else (lambda _: "")
    drawn = sheet(
        each for backbone, rows in shown.items() for each in figures.tables(rows, css, prefix(backbone))
    )
    if drawn:
        write_png(drawn, folder / "tables.png", css)
    return folder


def verdicts_markdown(outcome: Outcome) -> str:
    """Who holds each alias and why, comparison by comparison."""
    parts = []
    for backbone, verdicts in outcome.verdicts.items():
        parts.append(f"# {backbone}\n")
        for alias, verdict in verdicts.items():
            parts.append(f"## {alias}\n\n{verdict.sentence}\n")
            parts += [f"- {comparison.sentence}" for comparison in verdict.comparisons]
            parts += [f"- {guarded.sentence}" for guarded in verdict.guarded]
            parts.append("")
    if outcome.failures:
        parts.append("# Failed\n")
        parts += [f"- {label}: {escaped(reason)}" for label, reason in outcome.failures.items()]
    return "\n".join(parts)
