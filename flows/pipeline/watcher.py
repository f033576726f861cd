"""A watcher process beside a run, which ends what the run started when the run is gone.

Even SIGKILL closes the run's end of a pipe, which the watcher waits for. Prefect's temporary server and Ray's
processes would otherwise live on. It ends those processes alone that it has seen below the run, told apart by their
start time from later ones with the same number.

    python -S watcher.py PID      reads nothing; the end of its standard input is the end of PID
"""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

LOOK_EVERY_S = 1.0
GRACE_S = 2.0  # for what ends by itself, and then again for what is asked to

_watchers: list["subprocess.Popen[bytes]"] = []


def end_with_this_process() -> None:
    """Start the watcher of this process, once; without /proc there is none."""
    if _watchers or not Path("/proc/self/stat").exists():
        return
    command = [sys.executable, "-S", "-E", __file__, str(os.getpid())]
    # A session of its own: Ctrl-C in a terminal is for the run.
    quiet = subprocess.DEVNULL
    watcher = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    )
    _watchers.append(watcher)


def below(pid: int) -> dict[int, int]:
    """The processes below one: number -> start time, in the kernel's ticks."""
    children: dict[int, list[int]] = {}
    started: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat") as stat:  # else it has ended meanwhile
                fields = stat.read().rpartition(")")[2].split()
                if fields[0] != "Z":
                    started[int(name)] = int(fields[19])
                    children.setdefault(int(fields[1]), []).append(int(name))
    known: dict[int, int] = {}
    queue = list(children.get(pid, ()))
    while queue:
        one = queue.pop()
        known[one] = started[one]
        queue += children.get(one, ())
    return known


def watch(pid: int) -> None:
    """Remember what is below a process until it has ended, then end what is left of that."""
    known: dict[int, int] = {}
    while not select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
        known |= below(pid)  # what has lost its parent meanwhile is still the run's
    for number in (signal.SIGTERM, signal.SIGKILL):
        time.sleep(GRACE_S)
        for each, start in known.items():
            if each == os.getpid():
                continue
            with suppress(OSError):
                if int(Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[19]) == start:
                    os.kill(each, number)


if __name__ == "__main__":
    watch(int(sys.argv[1]))
