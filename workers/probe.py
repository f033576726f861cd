"""Hosts, versions and access to the store of each node of a Ray cluster.

`lsd doctor` runs it as a process of its own: a driver that joins a cluster which does not answer waits for minutes,
and a process can be given up.

    python -m workers.probe ADDRESS STORE      prints one JSON object
"""

import json
import platform
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lsd_core.errors import InputError
from lsd_core.storage.store import Store


def look(store_url: str) -> dict[str, str | None]:
    """A node's host, versions, and what keeps it from using the store, if anything does."""
    import torch

    problem = None
    try:
        Store(store_url).check()
    except InputError as error:
        problem = str(error)
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ray": version("ray"),
        "problem": problem,
    }


def probe(address: str, store_url: str) -> dict[str, Any]:
    """The cluster's resources, and a look from each node with a free core."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from workers.session import ray_session

    with ray_session(address):
        nodes = [node for node in ray.nodes() if node["Alive"]]
        resources: Mapping[str, float] = ray.cluster_resources()
        calls = [
            ray.remote(look)
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            .remote(store_url)
            for node in nodes
            if node["Resources"].get("CPU", 0) >= 1
        ]
        ready, _ = ray.wait(calls, num_returns=len(calls), timeout=60) if calls else ([], [])
        return {
            "nodes": len(nodes),
            "cpus": resources.get("CPU", 0),
            "gpus": resources.get("GPU", 0),
            "looks": ray.get(ready),
        }


if __name__ == "__main__":
    print(json.dumps(probe(*sys.argv[1:3])))
