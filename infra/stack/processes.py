"""Processes that outlive their parent: found again by number and start time, stopped with their descendants."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process of this machine; its start time tells it from a later one with the same number."""

    pid: int
    born: int
    """Clock ticks from boot to its start."""

    @staticmethod
    def of(pid: int) -> "Process | None":
        """The process with that number, if it lives."""
        fields = _stat(pid)
        return None if fields is None else Process(pid, int(fields[19]))

    @staticmethod
    def all() -> "set[Process]":
        """Every process that lives."""
        return {found for found in map(Process.of, _numbers()) if found is not None}

    @staticmethod
    def read(file: Path) -> "Process | None":
        """The one that a pid file names, if it still lives."""
        try:
            named = Process(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return named if named.alive else None

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    @property
    def command(self) -> str:
        """Its command line; empty once it is gone."""
        try:
            return (
                (PROC / str(self.pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            return ""

    def family(self) -> set["Process"]:
        """Itself, its session, its descendants in sessions of their own, and all in those: orphans included."""
        found, sessions = {self.pid} if self.alive else set[int](), {self.pid}
        everybody = {pid: fields for pid in _numbers() if (fields := _stat(pid))}
        size = -1
        while len(found) != size:
            size = len(found)
            for pid, fields in everybody.items():
                if int(fields[3]) in sessions or int(fields[1]) in found:
                    found.add(pid)
                    if int(fields[3]) == pid:
                        sessions.add(pid)
        return {Process(pid, int(everybody[pid][19])) for pid in found if pid in everybody}


def end(processes: Iterable[Process], sign: signal.Signals) -> None:
    """Send a signal to those that still live."""
    for process in processes:
        if process.alive:
            try:
                os.kill(process.pid, sign)
            except ProcessLookupError:
                continue


def wait_gone(processes: Iterable[Process], wait_s: float) -> list[Process]:
    """Those that are still alive after the wait."""
    deadline = time.monotonic() + wait_s
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if process.alive]
    return left


def _numbers() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, state first; None for one that is gone or a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that has ended is gone for good
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields
