"""A cluster that grows when the pool asks for GPUs, from no node to two, and shrinks to none when it is done.

The nodes are Ray's own fake ones, on this machine; the autoscaler, the demand and the work are real.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from lsd_core.storage.store import Store
from lsd_core.trajectories import verify
from tests.integration.clusters import ray_head, watching_gpus
from tests.integration.driving import lsd

PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"

pytestmark = [
    pytest.mark.timeout(900),  # on a machine that is busy with other things
    pytest.mark.usefixtures("joined_prefect"),
]


def cluster() -> dict[str, Any]:
    """A head without anything to compute on, and up to two nodes of a core and a GPU."""
    return {
        "cluster_name": "fake",
        "max_workers": 2,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "gpu": {
                "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 80_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": 2,
            },
        },
        "head_node_type": "ray.head.default",
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }


def test_gpu_nodes_come_when_the_pool_asks_and_go_when_it_is_done(tmp_path: Path) -> None:
    home = tmp_path / "lsd-data"
    fake = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    with ray_head(0, cluster(), **fake) as head, watching_gpus(head) as gpus:
        finished = lsd(
            *("teacher", "tiny", "--trajectories", "256", "--shard-rows", "16"),
            *("--workers", "2", "--num-gpus", "1"),
            home=home,
            LSD_RAY_ADDRESS=head.address,
            **head.env,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr + head.log.read_text()
        deadline = time.monotonic() + 120
        while gpus[-1:] != [0] and time.monotonic() < deadline:
            time.sleep(0.2)
    assert gpus[0] == 0  # nothing until somebody asks
    assert max(gpus) == 2
    assert gpus[-1] == 0  # and nothing is left running
    assert "0 reused, 16 made" in finished.stdout
    assert verify(Store(str(home / "store"))) == []
