"""`lsd` as a process of its own, and the Ray workers below it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
LSD = [sys.executable, "-m", "flows.cli"]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """For a driver of its own; what the test set for S3 is kept, and the Prefect server that it joined."""
    ours, joined = ("PREFECT_", "LSD_", "MLFLOW_"), "LSD_PREFECT_API_URL"
    kept = {name: value for name, value in os.environ.items() if name == joined or not name.startswith(ours)}
    places = {"LSD_HOME": str(home), "LSD_CACHE": str(home / "cache"), "PYTHONPATH": str(ROOT)}
    return kept | places | {"COLUMNS": "500"} | extra


def lsd(*arguments: str, home: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    home.parent.mkdir(parents=True, exist_ok=True)
    env = environment(home, **extra)
    return subprocess.run([*LSD, *arguments], env=env, cwd=home.parent, capture_output=True, text=True)


@contextlib.contextmanager
def started(
    *arguments: str, home: Path, output: int | IO[str] = subprocess.PIPE, **extra: str
) -> Iterator[subprocess.Popen[str]]:
    """A command under way; at the end of the block it and all below it are killed, if they still run."""
    home.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [*LSD, *arguments],
        env=environment(home, **extra),
        cwd=home.parent,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a driver, and then what Ray would end by itself a minute later."""
    below = descendants(process.pid)
    process.kill()
    process.wait()
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Processes below this one."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(folder.name))
    below = children.get(pid, [])
    return below + [one for child in below for one in descendants(child)]


def busy_actors(pid: int) -> list[int]:
    """Pool workers below a driver that are at work on an item right now, by the title Ray gives them."""
    found = []
    for child in descendants(pid):
        try:
            title = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::_Host.run"):
            found.append(child)
    return found
