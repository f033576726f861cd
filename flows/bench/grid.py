"""Benchmark `grid`: the share of a grid's time in each stage, and outside the network."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flows.bench.figures import Figure, Setting
from flows.bench.timing import Spread
from flows.pipeline.timing import Stage, Timing

TITLE = (
    "a grid run in an empty home: each stage's share of its workers' time, and how much of that is network"
)
MOST = 0.1


def ask(setting: Setting) -> list[Figure]:
    """The grid of `setting.grid`, once, in a process and a home of its own."""
    with tempfile.TemporaryDirectory(prefix="lsd-bench-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LSD_")}
        command = [sys.executable, "-m", "flows.cli", "grid", setting.grid]
        subprocess.run(command, check=True, env=environment | {"LSD_HOME": home}, stdout=sys.stderr)
        [file] = Path(home).rglob("timing.json")
        return figures_of(Timing.read(file.parent))


def figures_of(ledger: Timing) -> list[Figure]:
    """The shares of a run's ledger."""
    workers = max(stage.workers for stage in ledger.stages.values())
    total = sum(stage.wall_s - stage.start_up_s for stage in ledger.stages.values())
    figures = []
    for name, stage in ledger.stages.items():
        share, inside = (stage.wall_s - stage.start_up_s) / total, _inside(stage, workers)
        case = f"{name} ({inside:.0%} network)" if stage.jobs else name
        figures.append(_figure(case, share, "run after start-up"))
    wall, cpu = ledger.outside()
    return [
        *figures,
        _figure("outside the network", wall, "workers' wall time", at_most=MOST),
        _figure("outside the network", cpu, "workers' CPU time", at_most=MOST),
    ]


def _inside(stage: Stage, workers: int) -> float:
    room = workers * (stage.wall_s - stage.start_up_s)
    return stage.network_s / room if room > 0 else 0.0


def _figure(case: str, value: float, unit: str, **target: float) -> Figure:
    return Figure.of("grid", case, Spread.of([value]), unit, **target)
