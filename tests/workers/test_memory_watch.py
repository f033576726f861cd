"""On a Ray whose memory monitor kills every worker, a pool ends with Ray's numbers and a remedy about memory."""

import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import ray
    from workers import memory_watch
    from workers.pool import Pool

    memory_watch.FIRST_S = 2.0

    class Worker:
        def run(self, item):
            return item

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    with Pool(Worker, num_workers=1) as pool:
        print(list(pool.map([1])))
    """
)


@pytest.mark.slow
def test_workers_that_the_memory_monitor_kills_are_said_to_lack_memory() -> None:
    """A threshold of 1% stands for a full node: the trials are killed as a pool's workers are."""
    variables = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **variables, "RAY_min_memory_free_bytes": "-1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: a worker must find memory, but Ray killed each: "), done.stderr
    assert "GB used / " in last
    assert "ask for fewer workers or a smaller batch" in last
