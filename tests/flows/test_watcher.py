"""What a run started ends with it, also where nobody asks it to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.pipeline.watcher import below

ROOT = Path(__file__).parents[2]
RUN = """
import subprocess, sys, time
from flows.pipeline.watcher import end_with_this_process
end_with_this_process()
end_with_this_process()
sleeper = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
mine = subprocess.Popen(sleeper, start_new_session=True)  # as Ray's and Prefect's are no part of our session
nest = f"import subprocess, time; print(subprocess.Popen({sleeper!r}).pid, flush=True); time.sleep(600)"
nested = [sys.executable, "-S", "-c", nest]
parent = subprocess.Popen(nested, stdout=subprocess.PIPE, text=True)
print(mine.pid, parent.pid, parent.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.slow
def test_nothing_that_a_run_started_outlives_it(how: signal.Signals) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    with subprocess.Popen([sys.executable, "-c", RUN], env=env, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            started = [int(pid) for pid in run.stdout.readline().split()]
            assert len(started) == 3
            assert len(below(run.pid)) == 4  # and one watcher
            time.sleep(2.5)  # the watcher looks every second
            (watcher,) = set(below(run.pid)) - set(started)
            run.send_signal(how)
            run.wait()
            deadline = time.monotonic() + 30
            while any(map(alive, [*started, watcher])) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not any(map(alive, [*started, watcher]))
            assert alive(bystander.pid)
        finally:
            bystander.kill()
            bystander.wait()
