"""A pool that can have no worker ends with the reason: a full memory, or a cluster without a living node."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

SCRIPT = textwrap.dedent(
    """
    import os, subprocess, sys, time
    import ray
    from workers import memory_watch, pool

    memory_watch.FIRST_S = pool.NODES_S = 2.0

    class Worker:
        def run(self, item):
            time.sleep(0.1)  # the last item is far away when the worker notices that its node died
            return item

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    with pool.Pool(Worker, num_workers=1) as workers:
        for outcome in workers.map(range(1000)):
            if "kill" in sys.argv[1:] and outcome.item == 1:
                subprocess.run(["pkill", "-9", "-P", str(os.getpid()), "raylet"], check=True)
    """
)


def last_words(*arguments: str, **variables: str) -> str:
    """The last line that a driver prints which cannot go on."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_workers_that_the_memory_monitor_kills_are_said_to_lack_memory() -> None:
    """A threshold of 1% stands for a full node: the trials are killed as a pool's workers are."""
    said = last_words(
        RAY_memory_usage_threshold="0.01",
        RAY_memory_monitor_refresh_ms="100",
        RAY_min_memory_free_bytes="-1",
    )
    assert said.startswith("RuntimeError: a worker must find memory, but Ray killed each: ")
    assert "GB used / " in said
    assert "ask for fewer workers or a smaller batch" in said


def test_a_cluster_whose_last_node_died_is_not_waited_for() -> None:
    said = last_words("kill")
    assert said == "RuntimeError: a Ray node must be alive, got none: start the same run again to resume it"
