"""A grid whose processes are killed at random moments: nothing is left running, and the bytes are those of a calm run.

    python -m tests.integration.kills --kills 20

kills the driver, a worker of Ray, a process of Ray's own or Prefect's temporary server, whichever the seed says, and
starts the same grid again, until so many kills have been made and a run completes. Takes minutes; no test runs it.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from lsd_core.storage.store import Store
from tests.integration.driving import descendants, lsd, started

GONE_S = 10.0
KINDS = {"driver": b"flows.cli", "worker": b"ray::", "ray": b"raylet", "server": b"uvicorn"}


def contents(home: Path) -> dict[str, bytes]:
    """Everything published, but for rates, which are measurements of time."""
    store = Store(str(home / "store"))
    return {key: store.read_bytes(key) for key in store.list() if not key.startswith("rates/")}


def mine(home: Path) -> list[int]:
    """Processes that carry this home in their environment, the watcher of a run apart, which ends by itself."""
    found, mark = [], f"LSD_HOME={home}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def killed(home: Path, grid: str, gen: random.Random) -> str:
    """Start the grid, kill one of its processes after a while, and say which; "" where it had ended before."""
    kind = gen.choice(sorted(KINDS))
    with started("grid", grid, home=home) as run:
        until = time.monotonic() + gen.uniform(1, 40)
        while time.monotonic() < until and run.poll() is None:
            time.sleep(0.1)
        below = (
            [run.pid] if kind == "driver" else [p for p in descendants(run.pid) if KINDS[kind] in title(p)]
        )
        if run.poll() is not None or not below:
            run.wait()
            return ""
        os.kill(gen.choice(below), signal.SIGKILL)
        run.wait(300)
        left = time.monotonic() + GONE_S
        while mine(home) and time.monotonic() < left:
            time.sleep(0.2)
        if still := {pid: title(pid)[:80] for pid in mine(home)}:
            raise SystemExit(f"after a {kind} was killed there is left: {still}")
    return kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--grid", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    gen, made = random.Random(asked.seed), list[str]()
    with tempfile.TemporaryDirectory(prefix="lsd-kills-") as folder:
        calm, home = Path(folder) / "calm" / "lsd-data", Path(folder) / "killed" / "lsd-data"
        done = lsd("grid", asked.grid, home=calm)
        assert done.returncode == 0, done.stdout + done.stderr
        while len(made) < asked.kills:
            if kind := killed(home, asked.grid, gen):
                made.append(kind)
                print(f"{len(made)}: {kind}", flush=True)
            else:
                home = home.parent.with_name(f"{home.parent.name}-") / home.name  # it was done: begin anew
        done = lsd("grid", asked.grid, home=home)
        assert done.returncode == 0, done.stdout + done.stderr
        same = contents(home) == contents(calm)
    print(
        f"{len(made)} kills, nothing left after {GONE_S:g} s, bytes {'as' if same else 'NOT as'} of a calm run"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
