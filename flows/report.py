"""What a run comes to, for people: rows, verdicts, a table on the terminal, files and plots beside them."""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich import box
from rich.table import Table

from flows.pipeline.run import Run
from flows.plots import plot_quality, plot_tables
from flows.rows import Row, merged
from lsd_core.statistics.promotion import Verdict
from lsd_core.tasks.catalog import get_task


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Rows of all samplers, verdicts by backbone and alias, and why what failed did."""

    rows: list[Row]
    verdicts: Mapping[str, Mapping[str, Verdict]]
    failures: Mapping[str, str]

    @property
    def summary(self) -> str:
        """One line."""
        learned = sum(verdict.won for mine in self.verdicts.values() for verdict in mine.values())
        aliases = sum(len(mine) for mine in self.verdicts.values())
        return f"{len(self.rows)} rows; learned samplers hold {learned} of {aliases} aliases"


def table_of(backbone: str, outcome: Outcome, primary: str) -> Table:
    """The rows of one backbone: best first within each budget, holders of aliases in bold.

    Fits 80 columns: base samplers with one law share a row, and what is left out here is in table.csv.
    """
    groups = merged([row for row in outcome.rows if row.backbone == backbone])
    laws = {" = ".join(twin.sampler for twin in (row, *twins)) for row, twins in groups if twins}
    table = Table(
        title=f"{backbone}: lower {primary} is better",
        caption=f"one law, computed once: {', '.join(sorted(laws))}" if laws else None,
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("NFE", justify="right")
    table.add_column("method")
    for column in (primary, "+-", "entropy", "TV", "bound"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("holds")
    last = None
    for row, twins in groups:
        if last is not None and row.nfe != last:
            table.add_section()
        last = row.nfe
        half = "" if row.low is None or row.high is None else f"{(row.high - row.low) / 2:.4f}"
        holds = [alias for twin in (row, *twins) for alias in twin.aliases]
        table.add_row(
            str(row.nfe),
            row.method if twins or row.method == row.sampler else f"{row.method} ({row.sampler})",
            f"{row.primary:.4f}",
            half,
            f"{row.entropy:.3f}",
            _optional(row.start_tv, ".3f"),
            _optional(row.certificate, ".1f"),
            min(holds, key=len, default=""),
            style="bold" if holds else "",
        )
    return table


def write_report(run: Run, outcome: Outcome) -> Path:
    """Leave table.csv, verdicts.md and the plots in the reports folder, and return it."""
    folder = run.settings.reports / run.plan.config.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        for row in outcome.rows:
            writer.writerow(asdict(row) | {"aliases": " ".join(row.aliases)})
    (folder / "verdicts.md").write_text(verdicts_markdown(outcome))
    spec = run.plan.candidates[0]
    primary = get_task(spec.evaluation.task).primary
    plot_quality(outcome.rows, primary, folder / "quality.png")
    plot_tables(run, outcome.rows, folder / "tables.png")
    return folder


def verdicts_markdown(outcome: Outcome) -> str:
    """Who holds each alias and why, comparison by comparison."""
    parts = []
    for backbone, verdicts in outcome.verdicts.items():
        parts.append(f"# {backbone}\n")
        for alias, verdict in verdicts.items():
            parts.append(f"## {alias}\n\n{verdict.sentence}\n")
            parts += [f"- {comparison.sentence}" for comparison in verdict.comparisons]
            parts.append("")
    if outcome.failures:
        parts.append("# Failed\n")
        parts += [f"- {label}: {reason}" for label, reason in outcome.failures.items()]
    return "\n".join(parts)


def _optional(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
