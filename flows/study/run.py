"""`lsd study`: do a study's work, analyse it, and leave table.csv, figure.png and verdict.md."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from flows.pipeline.progress import progress_on
from flows.report.study import budget, certificates, compare, speed_up
from flows.report.study.findings import ALWAYS, Findings
from flows.report.study.measured import Point, TeacherPoint, read_points, read_teachers
from flows.settings import Settings
from flows.study.config import StudyConfig
from flows.study.plan import make_study_plan
from flows.study.work import do_work

Analyse = Callable[[StudyConfig, Sequence[Point], Sequence[TeacherPoint]], Findings]
ANALYSES: dict[str, Analyse] = {
    "compare": compare.analyse,
    "speed-up": speed_up.analyse,
    "budget": budget.analyse,
    "certificates": certificates.analyse,
}
NOT_SHOWN = {
    "low",
    "high",
    "difference_low",
    "difference_high",
    "teacher_sequences",
    "start_tv",
}  # in the file


def run_study(study: StudyConfig, settings: Settings, console: Console) -> int:
    """Run it and show how far it is; the exit code is 1 where a variant failed."""
    plan = make_study_plan(study)
    console.print(f"[bold]{study.name}[/]: {study.question}", highlight=False)
    console.print(f"{study.backbone}; {study.sizes}", style="yellow", highlight=False)
    run = do_work(plan, settings, progress_on(console))
    points = read_points(run, plan)
    for phase, reused in run.reused.items():
        console.print(f"  {phase}: {reused} reused, {run.made.get(phase, 0)} made", highlight=False)
    failures = {e.variant.label: run.failures[e.spec.work.key] for e in plan.entries if run.failed(e.spec)}
    if points:
        findings = ANALYSES[study.kind](study, points, read_teachers(run, plan))
        folder = write(study, findings, settings.reports / "studies" / study.name, failures)
        console.print(table_of(findings))
        console.print(findings.sentence, highlight=False)
        console.print(f"  report    {folder} (table.csv, figure.png, verdict.md)", soft_wrap=True)
    for label, reason in failures.items():
        console.print(f"[bold red]failed[/] {label}: {reason}", highlight=False)
    return 1 if failures else 0


def write(study: StudyConfig, findings: Findings, folder: Path, failures: dict[str, str]) -> Path:
    """The files of a study, and the folder they lie in."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(name for row in findings.rows for name in row))
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(findings.rows)
    findings.figure.savefig(folder / "figure.png", dpi=130)
    failed = "".join(f"\nFailed: {label}: {reason}\n" for label, reason in failures.items())
    text = f"# {study.question}\n\n{findings.sentence}\n\n{study.backbone}; {study.sizes}.\n{failed}"
    (folder / "verdict.md").write_text(text)
    return folder


def table_of(findings: Findings) -> Table:
    """The rows on a terminal of 80 columns."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = (*ALWAYS, *findings.shown)
    for column in columns:
        text = column == "variant"
        title = column.removesuffix("_nats").replace("_", " ")
        table.add_column(title, justify="left" if text else "right", no_wrap=not text, min_width=12 * text)
    for row in findings.rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    return table


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
