"""The benchmarks run, at sizes that say nothing about speed."""

from pathlib import Path
from typing import Any

import pytest

from infra.bench.store_throughput import measure
from infra.bench.worker_efficiency import plain, pool_seconds, teacher
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store


def test_throughput_is_measured_each_way(bucket: str) -> None:
    speeds = measure(Store(bucket), rows=4, rounds=2)
    assert set(speeds) == {"raw write", "write", "raw read", "read"}
    assert all(len(each) == 2 and min(each) > 0 for each in speeds.values())


@pytest.mark.usefixtures("local_ray")
def test_the_pool_and_the_plain_processes_leave_the_same_shards(tmp_path: Path) -> None:
    class Barrier:
        def wait(self) -> None: ...
        def abort(self) -> None: ...

    spec: dict[str, Any] = teacher(8).to_dict()
    stores = [Store(str(tmp_path / name)) for name in ("plain", "pool")]
    for store in stores:
        publish(load_backbone("countdown"), store)
    plain(stores[0].url, spec, [0, 1], Barrier())
    seconds, busy = pool_seconds(stores[1].url, spec, 2)
    assert seconds > 0
    assert 0 < busy <= 1
    kept = [
        [key for key in store.list("teachers") if key.rpartition("/")[2].startswith("shard-0000")]
        for store in stores
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2
