"""One server: started with an environment and a log, waited for until it is healthy, stopped by pid."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.stack.packages import StackError, clean_environment
from infra.stack.processes import Process, end, wait_gone

STARTING = "--- starting "
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A command that stays in the foreground, and how to tell that it is healthy."""

    name: str
    command: list[str]
    healthy: Callable[[], bool] | str
    """A question to ask it, or what it says in its log once it is."""
    url: str = ""
    """Where people find it, if anywhere."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """On top of a clean environment: nothing of the caller's own settings leaks in."""
    user: str | None = None
    """Whom it runs as, if not the caller."""


@dataclass(frozen=True)
class Keeper:
    """Keeps the servers of one home folder: pid files in `run`, logs in `logs`."""

    home: Path

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def process(self, name: str) -> Process | None:
        """The server's process, if it lives."""
        return Process.read(self._pid_file(name))

    def start(self, server: Server, wait_s: float = 120.0) -> None:
        """Start it unless it lives, and return when it is healthy.

        Raises StackError with the last words of its log where it ends, or is not healthy in time.
        """
        if self.process(server.name) is None:
            self._launch(server)
        deadline = time.monotonic() + wait_s
        while not self._healthy(server):
            if self.process(server.name) is None:
                raise StackError(f"{server.name} ended: {self._last_words(server.name)}")
            if time.monotonic() > deadline:
                last = self._last_words(server.name)
                self.stop(server.name)
                raise StackError(f"{server.name} is not healthy after {wait_s:g} s: {last}")
            time.sleep(0.1)

    def stop(self, name: str, *, first: str = "", wait_s: float = 30.0) -> None:
        """Ask it to end, and end what is left of it; nothing if it does not run.

        What it started and whose command line says `first` is asked before it, and given time to end.
        """
        process = self.process(name)
        if process is not None:
            family = process.family()
            before = {member for member in family - {process} if first and first in member.command}
            for asked in (before, {process}):
                end(asked, signal.SIGTERM)
                wait_gone(asked, wait_s)
            left = {member for member in family | process.family() if member.alive}
            end(left, signal.SIGTERM)
            end(wait_gone(left, 5.0), signal.SIGKILL)
            if wait_gone(left, 5.0):
                raise StackError(f"{name} cannot be stopped: process {process.pid}")
        self._pid_file(name).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """End it and all it started at once, as a power cut would."""
        process = self.process(name)
        if process is not None:
            family = process.family()
            end(family, signal.SIGKILL)
            wait_gone(family, 10.0)

    def _launch(self, server: Server) -> None:
        for folder in (self.log(server.name).parent, self._pid_file(server.name).parent):
            folder.mkdir(parents=True, exist_ok=True)
        with open(self.log(server.name), "ab") as log:
            log.write(f"\n{STARTING}{server.name}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            log.flush()
            child = subprocess.Popen(
                server.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment() | dict(server.env),
                cwd=ROOT,
                user=server.user,
                start_new_session=True,
            )
        process = Process.of(child.pid)
        if process is not None:
            process.write(self._pid_file(server.name))

    def _healthy(self, server: Server) -> bool:
        if callable(server.healthy):
            return server.healthy()
        said = self.log(server.name).read_text(errors="replace").rpartition(STARTING)[2]
        return server.healthy in said

    def _pid_file(self, name: str) -> Path:
        return self.home / "run" / f"{name}.json"

    def _last_words(self, name: str) -> str:
        lines = [line for line in self.log(name).read_text(errors="replace").splitlines() if line.strip()]
        return f"{lines[-1].strip() if lines else 'it said nothing'} (see {self.log(name)})"


def answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether a GET ends in 200."""
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def tool(name: str) -> str:
    """The command of that name that was installed beside this Python."""
    import sys

    path = Path(sys.executable).parent / name
    if not path.exists():
        raise StackError(
            f"{name} is not installed beside {sys.executable}: install the project with '.[stack]'"
        )
    return str(path)


def python_path() -> dict[str, str]:
    """What makes a server import this checkout, and keeps torch to one thread a process."""
    return {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ.get("PATH", os.defpath),
    }
