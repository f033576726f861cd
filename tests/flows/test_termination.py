"""A grid that is told to end by SIGTERM, as containers and services are, leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_a_terminated_grid_takes_its_workers_and_servers_with_it(tmp_path: Path) -> None:
    home = tmp_path / "lsd-data"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {"LSD_HOME": str(home), "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(tmp_path / "prefect")}
    command = [sys.executable, "-m", "flows.cli", "grid", "tiny"]
    log = (tmp_path / "log").open("w")
    grid = subprocess.Popen(
        command, env=env, cwd=tmp_path, stdout=log, stderr=log, text=True, start_new_session=True
    )
    try:
        _wait(lambda: any(home.rglob("*.parquet")) or grid.poll() is not None, 180)
        assert grid.poll() is None, (tmp_path / "log").read_text()
        assert len(_session(grid.pid)) > 3  # the grid, Prefect's server, Ray's processes
        grid.send_signal(signal.SIGTERM)
        assert grid.wait(timeout=120) == 128 + signal.SIGTERM
        _wait(lambda: not _session(grid.pid), 60)
        assert _session(grid.pid) == []
        assert "run the same command again to resume" in (tmp_path / "log").read_text()
    finally:
        for pid in _session(grid.pid):
            os.kill(pid, signal.SIGKILL)
        grid.wait()


def _session(leader: int) -> list[int]:
    """Processes of the session that the leader began, the dead not counted."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # gone meanwhile
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def _wait(until, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.2)
