"""The last screen of `lsd grid`: tables and verdicts, paths of the results, the next commands."""

import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flows.pipeline.run import Run
from flows.report.run_report import Outcome, table_of
from flows.settings import Settings
from lsd_core.errors import printable
from lsd_core.tasks.catalog import get_task


def print_ending(state: Any, ended: tuple[Run, Outcome] | None, settings: Settings, console: Console) -> int:
    """Print it and return the exit code: 0 where every cell is done, 1 where one failed."""
    if ended is None:
        console.print(
            Text.assemble((f"{state.type.value}:", "bold red"), f" {printable(str(state.message))}")
        )
        console.print("what was published stays; run the same command again to resume")
        return 1
    run, outcome = ended
    tasks = {spec.backbone.name: spec.evaluation.task for spec in run.plan.candidates}
    for backbone in outcome.verdicts:
        console.print()
        console.print(table_of(backbone, outcome, get_task(tasks[backbone])))
        for alias, verdict in outcome.verdicts[backbone].items():
            if "-" not in alias:
                console.print(f"  {alias}: {verdict.sentence}")
                for comparison in verdict.comparisons:
                    if not comparison.wins:
                        console.print(f"      {comparison.sentence}")
    console.print()
    for phase, reused in run.counts.reused.items():
        console.print(f"  {phase}: {reused} reused, {run.counts.made.get(phase, 0)} made")
    if run.plan.config.sizes:
        console.print(f"  {run.plan.config.sizes}", style="yellow")
    console.print()
    console.print(f"  store     {settings.store}", soft_wrap=True)
    console.print(f"  registry  {settings.tracking_uri}", soft_wrap=True)
    folder = settings.reports / run.plan.config.name
    beside = "table.csv, verdicts.md, quality.png, tables.png"
    console.print(f"  report    {folder} ({beside})", soft_wrap=True)
    for backbone in outcome.verdicts:
        console.print(f"  page      {folder / backbone}.html", soft_wrap=True)
    mlflow = f"{program('mlflow')} ui --backend-store-uri {settings.tracking_uri}"
    console.print(f"  browse    {mlflow}", soft_wrap=True)
    _print_next(outcome, console)
    for label, reason in outcome.failures.items():
        console.print(Text.assemble(("failed", "bold red"), f" {printable(f'{label}: {reason}')}"))
    return 1 if outcome.failures else 0


def _print_next(outcome: Outcome, console: Console) -> None:
    """Commands and lines of Python that can be typed as they stand, in this folder."""
    champions = {
        backbone: [alias for alias in verdicts if "-" not in alias]
        for backbone, verdicts in outcome.verdicts.items()
    }
    backbone = next((name for name, aliases in champions.items() if aliases), None)
    if backbone is None:
        return
    alias = "nfe8" if "nfe8" in champions[backbone] else champions[backbone][0]
    uri, lsd = f"models:/{backbone}@{alias}{outcome.alias_suffixes.get(backbone, '')}", program("lsd")
    lines = [
        f"  next      {lsd} samplers {backbone}",
        f"            {lsd} sample {uri} -n 4",
        f"  Python    {program('python')}",
        "            >>> from lsd_core import load_sampler",
        f'            >>> sampler = load_sampler("{uri}")',
        "            >>> tokens = sampler.sample(num_samples=16, seed=0)",
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def program(name: str) -> str:
    """How to type a program of this environment here: its name if that finds it, else its path."""
    path = Path(sys.executable).with_name(name)
    if not path.exists() or shutil.which(name) == str(path):
        return name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
