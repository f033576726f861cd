"""`lsd study`: do a study's work, analyse it, and leave table.csv, figure.png and verdict.md."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.pipeline.driver import Driver
from flows.pipeline.progress import progress_on
from flows.report.csv_columns import write_csv
from flows.report.png import write_png
from flows.report.study import budget, certificates, compare, few_against_many, speed_up
from flows.report.study.findings import Findings
from flows.report.study.measured import Point, read_points, read_teachers
from flows.settings import Settings
from flows.study.config import StudyConfig
from flows.study.plan import make_study_plan
from flows.study.work import do_work
from lsd_core.errors import printable

Analyse = Callable[[StudyConfig, Sequence[Point], Sequence[Point]], Findings]
ANALYSES: dict[str, Analyse] = {
    "compare": compare.analyse,
    "speed-up": speed_up.analyse,
    "few-against-many": few_against_many.analyse,
    "budget": budget.analyse,
    "certificates": certificates.analyse,
}


def run_study(study: StudyConfig, settings: Settings, console: Console) -> int:
    """Run it and show how far it is; the exit code is 1 where a variant failed."""
    plan = make_study_plan(study)
    console.print(Text.assemble((study.name, "bold"), f": {study.question}"))
    console.print(f"{study.backbone}; {study.sizes}", style="yellow")
    progress = progress_on(console)
    driver = Driver(settings=settings, progress=progress, workers=study.workers, num_gpus=study.num_gpus)
    run = do_work(plan, driver)
    points = driver.ask(read_points, run, plan)
    for phase, reused in run.counts.reused.items():
        console.print(f"  {phase}: {reused} reused, {run.counts.made.get(phase, 0)} made")
    failures = {e.variant.label: run.failures[e.spec.work.key] for e in plan.entries if run.failed(e.spec)}
    if points:
        findings = ANALYSES[study.kind](study, points, driver.ask(read_teachers, run, plan))
        folder = write(study, findings, settings.reports / "studies" / study.name, failures)
        console.print(table_of(findings))
        console.print(findings.sentence)
        console.print(f"  report    {folder} (table.csv, figure.png, verdict.md)", soft_wrap=True)
    for label, reason in failures.items():
        console.print(Text.assemble(("failed", "bold red"), f" {printable(f'{label}: {reason}')}"))
    return 1 if failures else 0


def write(study: StudyConfig, findings: Findings, folder: Path, failures: dict[str, str]) -> Path:
    """The files of a study, and the folder they lie in."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        write_csv(findings.rows, file)
    write_png(findings.drawings, folder / "figure.png", findings.legend, study.question)
    failed = "".join(f"\nFailed: {label}: {reason}\n" for label, reason in failures.items())
    text = f"# {study.question}\n\n{findings.sentence}\n\n{study.backbone}; {study.sizes}.\n{failed}"
    (folder / "verdict.md").write_text(text)
    return folder


def table_of(findings: Findings) -> Table:
    """The rows on a terminal of 80 columns."""
    metric, diversity = (str(findings.rows[0][f"{name}_metric"]) for name in ("primary", "diversity"))
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("variant", min_width=12)
    for column in ("NFE", metric, "entropy", *findings.shown):
        title = column.removesuffix("_value_nats").replace("_", " ")
        table.add_column(title, justify="right", no_wrap=True)
    for row in findings.rows:
        low, high = row[f"{metric}_low"], row[f"{metric}_high"]
        interval = "" if low is None else f" ({_shown(low)}-{_shown(high)})"
        cells = (row[diversity], *(row.get(column) for column in findings.shown))
        table.add_row(
            str(row["label"]), _shown(row["nfe"]), _shown(row[metric]) + interval, *map(_shown, cells)
        )
    return table


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
