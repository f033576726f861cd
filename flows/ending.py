"""The last screen of `lsd grid`: what came out, where it lies, what to type next."""

from typing import Any

from rich.console import Console

from flows.report import Outcome, table_of
from flows.run import Run
from flows.settings import Settings
from lsd_core.tasks.catalog import get_task


def print_ending(
    state: Any, run: Run | None, outcome: Outcome | None, settings: Settings, console: Console
) -> int:
    """Print it and return the exit code: 0 where every cell is done, 1 where one failed."""
    if run is None or outcome is None:
        console.print(f"[bold red]{state.type.value}:[/] {state.message}", highlight=False)
        console.print("what was published stays; run the same command again to resume", highlight=False)
        return 1
    for backbone in outcome.verdicts:
        task = next(s.evaluation.task for s in run.plan.candidates if s.backbone.name == backbone)
        console.print()
        console.print(table_of(backbone, outcome, get_task(task).primary))
        for alias, verdict in outcome.verdicts[backbone].items():
            if "-" not in alias:
                console.print(f"  {alias}: {verdict.sentence}", highlight=False)
                for comparison in verdict.comparisons:
                    if not comparison.wins:
                        console.print(f"      {comparison.sentence}", highlight=False)
    console.print()
    for phase, reused in run.reused.items():
        console.print(f"  {phase}: {reused} reused, {run.made.get(phase, 0)} made", highlight=False)
    if run.plan.config.sizes:
        console.print(f"  {run.plan.config.sizes}", style="yellow", highlight=False)
    console.print()
    console.print(f"  store     {settings.store}", highlight=False, soft_wrap=True)
    console.print(f"  registry  {settings.tracking_uri}", highlight=False, soft_wrap=True)
    report = settings.reports / run.plan.config.name
    console.print(f"  report    {report} (table.csv, verdicts.md, quality.png, tables.png)", soft_wrap=True)
    console.print(f"  browse    mlflow ui --backend-store-uri {settings.tracking_uri}", soft_wrap=True)
    first = next(iter(outcome.verdicts), None)
    if first:
        console.print(f"  next      lsd samplers {first}", highlight=False)
        champion = next((alias for alias in outcome.verdicts[first] if "-" not in alias), None)
        if champion:
            console.print(f"            lsd sample models:/{first}@{champion} -n 4", highlight=False)
    for label, reason in outcome.failures.items():
        console.print(f"[bold red]failed[/] {label}: {reason}", highlight=False)
    return 1 if outcome.failures else 0
