"""A grid whose processes and servers are killed at random moments: nothing is left running, the bytes are a calm run's.

    python -m tests.integration.kills --kills 20 --servers

kills the driver, a worker of Ray, a process of Ray's own or Prefect's temporary server, whichever the seed says, and
starts the same grid again, until so many kills have been made and a run completes. With `--servers` the store lies on
a real S3 server and the registry on a real MLflow server, which are killed too: half of the time such a server is
started again while the run waits for it, and the run must complete; else when the run has ended, in one line. Takes
minutes; no test runs it.
"""

import argparse
import contextlib
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lsd_core.storage.store import Store
from tests.integration import record_servers
from tests.integration.driving import descendants, lsd, started
from tests.integration.record_servers import RecordServers

GONE_S = 10.0
END_S = (
    600  # a run whose server stays away has tried for two minutes, each time with the library's own patience
)
HINTS = ("rates/", "measured/")
KINDS = {
    "driver": rb"flows\.cli",
    "worker": rb"ray::(?!DashboardAgent|RuntimeEnvAgent)",  # without its agents a node ends
    "ray": rb"raylet|gcs_server|ray::(DashboardAgent|RuntimeEnvAgent)",
    "server": rb"uvicorn",
}
"""Title of a process."""


@dataclass(frozen=True)
class Place:
    """Where a run's home, store and registry are."""

    home: Path
    servers: RecordServers | None

    @property
    def store(self) -> str:
        return f"s3://lsd/{self.home.parent.name}" if self.servers else str(self.home / "store")

    @property
    def env(self) -> dict[str, str]:
        return self.servers.env(self.store) if self.servers else {}

    def fresh(self, number: int) -> "Place":
        """Another with nothing in it."""
        if self.servers:
            self.servers.forget()
        return Place(self.home.parent.with_name(f"killed-{number}") / self.home.name, self.servers)

    def contents(self) -> dict[str, bytes]:
        """Everything published, but for rates, which are measurements of time, and for who drew samples first."""
        store = Store(self.store)
        return {key: store.read_bytes(key) for key in store.list() if not key.startswith(HINTS)}


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


def calm_run(place: Place, grid: str) -> dict[str, float]:
    """Run the grid undisturbed; returns the seconds for which there were processes of each kind."""
    place.home.parent.mkdir(parents=True, exist_ok=True)
    output, seen = place.home.parent / "output.txt", dict[str, tuple[float, float]]()
    with output.open("w") as file, started("grid", grid, home=place.home, output=file, **place.env) as run:
        while not ended(run, 0.2):
            now = time.monotonic()
            found = [kind for kind in (*KINDS, *record_servers.NAMES) if victims_of(run, kind)]
            seen |= {kind: (seen.get(kind, (now, now))[0], now) for kind in found}
    require(run.returncode == 0, output.read_text())
    return {kind: last - first for kind, (first, last) in seen.items()}


def killed(place: Place, grid: str, kind: str, gen: random.Random, lived_s: float) -> tuple[str, bool]:
    """Start the grid, kill a process or server of this kind at a moment of its life, and wait for the run's end.

    `lived_s` is how long such a process lived in a calm run. Returns what was killed and how the run ended, "" where
    it had ended before, and whether it completed.
    """
    moment_s, away_s = gen.uniform(0, lived_s), gen.choice([gen.uniform(2, 20), END_S])
    place.home.parent.mkdir(parents=True, exist_ok=True)
    output = place.home.parent / "output.txt"
    with (
        output.open("w") as file,
        started("grid", grid, home=place.home, output=file, **place.env) as run,
    ):
        begun = time.monotonic()
        while not victims_of(run, kind) and not ended(run, 0.2):
            pass  # it has not started one yet
        ended(run, moment_s)
        if not (victims := victims_of(run, kind)):
            ended(run, END_S)
        if run.poll() is not None:
            require(run.returncode == 0, f"undisturbed, a run ended with {output.read_text()}")
            return "", True
        shown, begun = f"{kind} after {time.monotonic() - begun:.0f} s", time.monotonic()
        if place.servers is not None and kind in record_servers.NAMES:
            place.servers.kill(kind)
            if not ended(run, away_s):
                place.servers.start()
                shown += f", started again after {away_s:.0f} s"
        else:
            os.kill(gen.choice(victims), signal.SIGKILL)
        require(ended(run, END_S), f"{shown}: the run has not ended after {END_S} s")
        end = time.monotonic()
        while mine(place.home) and time.monotonic() < end + GONE_S:
            time.sleep(0.2)
        still = {pid: title(pid)[:80] for pid in mine(place.home)}
        for pid in still:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        require(not still, f"{shown}: there is left {still}")
    if place.servers is not None:
        place.servers.start()
    said = [line.strip() for line in output.read_text().splitlines() if line.strip()] or [""]
    plain = kind == "driver" or not any(line.startswith("Traceback") for line in said)
    require(plain, f"{shown}: the run ended in a traceback: {said[-5:]}")
    last = next((line for line in reversed(said) if line.startswith(("FAILED", "error"))), said[-1])
    how = f"exit {run.returncode}: {last}" if run.returncode else "completed"
    return f"{shown}, {end - begun:.0f} s until the end: {how}", run.returncode == 0


def victims_of(run: subprocess.Popen[str], kind: str) -> list[int]:
    """Processes of the run of this kind; the run itself where a server is to be killed."""
    if kind == "driver" or kind in record_servers.NAMES:
        return [run.pid]
    return [pid for pid in descendants(run.pid) if re.search(KINDS[kind], title(pid))]


def ended(run: subprocess.Popen[str], within_s: float) -> bool:
    """Whether the run ends within so many seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(within_s)
    return run.returncode is not None


class Fault(Exception):
    """Something that a kill must not lead to."""


def require(held: bool, otherwise: str) -> None:
    if not held:
        raise Fault(otherwise)


def check(place: Place, calm: dict[str, bytes]) -> None:
    """See that a completed run left what a calm one leaves, on the store and in the registry."""
    found = place.contents()
    other = sorted(key for key in found.keys() | calm.keys() if found.get(key) != calm.get(key))
    require(not other, f"bytes NOT as of a calm run: {other}")
    if place.servers is not None:
        require(not (wrong := place.servers.wrong(place.store)), wrong)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--grid", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--servers", action="store_true", help="store and registry on servers, killed too")
    parser.add_argument("--kinds", nargs="+", help="what is killed; all if left out")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no further kill after so long")
    asked = parser.parse_args()
    kinds = asked.kinds or sorted([*KINDS, *(record_servers.NAMES if asked.servers else ())])
    gen, made, begun = random.Random(asked.seed), Counter[str](), time.monotonic()
    completed = faults = places = 0
    deck = gen.sample(kinds, len(kinds))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # servers and folders go too
    with tempfile.TemporaryDirectory(prefix="lsd-kills-") as folder, contextlib.ExitStack() as stack:
        calm = Place(Path(folder) / "calm" / "lsd-data", None)
        lived_s = calm_run(calm, asked.grid)
        print("undisturbed:", ", ".join(f"{kind} {s:.0f} s" for kind, s in lived_s.items()), flush=True)
        expected = calm.contents()
        servers = (
            stack.enter_context(record_servers.record_servers(Path(folder) / "servers"))
            if asked.servers
            else None
        )
        place = Place(Path(folder) / "killed-0" / "lsd-data", servers)
        while made.total() < asked.kills and time.monotonic() - begun < 60 * asked.minutes:
            kind = deck.pop()
            deck = deck or gen.sample(kinds, len(kinds))  # each as often
            try:
                shown, complete = killed(place, asked.grid, kind, gen, lived_s[kind])
                if complete:
                    check(place, expected)
                    completed += 1
            except Fault as fault:
                shown, complete = f"FAULT {fault}", False
                faults += 1
                if servers is not None:
                    servers.start()
            if not shown:
                deck.append(kind)  # the run had ended before: the kind stays due
            else:
                made[kind] += 1
                print(f"{made.total()}: {shown[:2000]}", flush=True)
            if complete or shown.startswith("FAULT bytes"):
                places += 1
                place = place.fresh(places)
        done = lsd("grid", asked.grid, home=place.home, **place.env)
        require(done.returncode == 0, done.stdout + done.stderr)
        check(place, expected)
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(made.items()))
    print(f"{made.total()} kills ({counts}) in {(time.monotonic() - begun) / 60:.0f} minutes")
    print(f"{completed + 1} runs completed, with the bytes of a calm run; {faults} faults")
    if not faults:
        print(f"nothing left after {GONE_S:g} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
