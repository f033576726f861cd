"""Workers and drivers that are killed cost time and nothing else; two drivers at once do not disturb each other."""

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories import publish_manifest, verify
from lsd_core.trajectories.manifest import MANIFEST
from lsd_core.trajectories.write import parse_shard_name
from tests.integration.driving import busy_actors, kill, lsd, started
from workers.jobs import ShardJob
from workers.worker import Worker

pytestmark = [
    pytest.mark.timeout(900),  # on a machine that is busy with other things
    pytest.mark.usefixtures("joined_prefect"),
]

KILLS = 12
SHARDS, ROWS = 96, 64  # on an idle machine as well, more work than the killing of workers lasts
SIZES = ["--trajectories", str(SHARDS * ROWS), "--shard-rows", str(ROWS), "--workers", "2"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one worker leaves that nobody disturbs, in this process and without Ray."""
    store = Store(str(tmp_path_factory.mktemp("calm") / "store"))
    config = load_grid("tiny", **{"teacher.trajectories": SHARDS * ROWS, "teacher.shard_rows": ROWS})
    (spec,) = make_plan(config).teachers
    publish(load_backbone("countdown-exact"), store)
    worker = Worker(store.url)
    done = [worker.run(ShardJob(teacher=spec, shard=shard)) for shard in range(SHARDS)]
    publish_manifest(store, spec, [shard.record for shard in done])
    return teachers(store)


def teachers(store: Store) -> dict[str, bytes]:
    """Every file of every teacher but the manifests' history, which depends on who published when."""
    keys = (key for key in store.list("teachers") if "/_manifest-" not in key)
    return {key: store.read_bytes(key) for key in keys}


def kill_workers(driver: subprocess.Popen[str], kills: int, dice: random.Random, wait_s: float) -> int:
    """SIGKILL a worker that is at work, at a random moment, again and again; returns how many died."""
    killed, deadline = 0, time.monotonic() + wait_s
    while killed < kills and driver.poll() is None and time.monotonic() < deadline:
        busy = busy_actors(driver.pid)
        if not busy:
            time.sleep(0.05)
            continue
        time.sleep(dice.uniform(0, 0.5))
        try:
            os.kill(dice.choice(busy), signal.SIGKILL)
        except ProcessLookupError:
            continue
        killed += 1
        time.sleep(dice.uniform(0, 1))
    return killed


def test_killed_workers_and_a_killed_driver_leave_the_bytes_of_a_calm_run(
    calm: dict[str, bytes], tmp_path: Path
) -> None:
    home = tmp_path / "lsd-data"
    store = Store(str(home / "store"))
    with started("teacher", "tiny", *SIZES, home=home) as driver:
        killed = kill_workers(driver, KILLS, random.Random(5), wait_s=400)
        assert driver.poll() is None, driver.communicate()[0]  # it lives through all of them
        assert killed == KILLS
        kill(driver)
    kept = teachers(store)
    assert len(kept) < len(calm)
    assert all(calm[key] == data for key, data in kept.items())  # whole shards, the right ones

    again = lsd("teacher", "tiny", *SIZES, home=home)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"shards: {len(kept)} reused, {SHARDS - len(kept)} made" in again.stdout
    assert teachers(store) == calm  # nothing lost, nothing twice
    assert verify(store) == []


@pytest.mark.servers
def test_two_drivers_of_one_teacher_end_well_with_one_manifest(
    calm: dict[str, bytes], swift_bucket: str, tmp_path: Path
) -> None:
    url = f"{swift_bucket}/lsd"
    one_worker = [*SIZES[:-1], "1", "--store", url]
    with (
        started("teacher", "tiny", *one_worker, home=tmp_path / "a" / "lsd-data") as first,
        started("teacher", "tiny", *one_worker, home=tmp_path / "b" / "lsd-data") as second,
    ):
        drivers = [first, second]
        printed = [driver.communicate()[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], printed
    store = Store(url)
    assert teachers(store) == calm
    assert verify(store) == []
    assert sum(key.endswith(f"/{MANIFEST}") for key in store.list()) == 1
    for key, data in teachers(store).items():
        name = parse_shard_name(key.rpartition("/")[2])
        assert name is None or hashlib.sha256(data).hexdigest().startswith(name[1])
