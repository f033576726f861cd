"""Workers share a GPU by fractions, and one that asked for none sees none. Ray counts GPUs; none need be there."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, os, time
import ray
from workers.pool import Pool

class Worker:
    def run(self, item):
        time.sleep(0.2)  # so that every worker takes some
        return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")

ray.init(address="local", num_cpus=3, num_gpus=1, include_dashboard=False, log_to_driver=False)
seen = {}
for share, workers in ((0, 1), (0.5, 2), (0.4, 3)):
    with Pool(Worker, num_workers=workers, num_gpus=share) as pool:
        deadline = time.monotonic() + 60
        outcomes = []
        while len({pid for pid, _ in outcomes}) < min(workers, 2) and time.monotonic() < deadline:
            outcomes += [outcome.result for outcome in pool.map(range(8))]
    seen[share] = [len({pid for pid, _ in outcomes}), sorted({gpu for _, gpu in outcomes})]
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_workers_share_a_gpu_and_see_no_other() -> None:
    env = os.environ | {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # as our sessions set it
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "0": [1, [""]],
        "0.5": [2, ["0"]],
        "0.4": [2, ["0"]],  # there is no room for a third
    }
