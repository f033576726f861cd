"""Teacher shards on a real S3 server that checks signatures: written, resumed, verified, mended, refused."""

import hashlib
import json
import time
from pathlib import Path

import pytest

from flows.cli import main
from infra.stack.swift import Swift
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories import (
    CorruptFileError,
    TeacherSpec,
    equal,
    load_manifest,
    publish_manifest,
    read_trajectories,
    verify,
)
from lsd_core.trajectories.manifest import MANIFEST
from tests.integration.driving import kill, lsd, started
from workers.jobs import ShardJob
from workers.worker import Worker

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900), pytest.mark.usefixtures("joined_prefect")]

SIZES = ["--trajectories", "96", "--shard-rows", "16", "--workers", "1"]


@pytest.fixture(scope="module")
def calm(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed run leaves in a folder."""
    home = tmp_path_factory.mktemp("calm") / "lsd-data"
    finished = lsd("teacher", "tiny", *SIZES, home=home, LSD_PREFECT_API_URL=prefect_server)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return teachers(Store(str(home / "store")))


def teachers(store: Store) -> dict[str, bytes]:
    """Every file of every teacher but the manifests' history, which depends on who published when."""
    keys = (key for key in store.list("teachers") if "/_manifest-" not in key)
    return {key: store.read_bytes(key) for key in keys}


def spec_on(store: Store) -> TeacherSpec:
    manifest = next(key for key in store.list("teachers") if key.endswith(MANIFEST))
    return TeacherSpec.from_dict(store.read_json(manifest)["spec"])


def exit_code(*arguments: str) -> int:
    """Of a command run in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_killed_run_is_resumed_and_damage_is_named_and_mended(
    swift_bucket: str, calm: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, home = f"{swift_bucket}/lsd", tmp_path / "lsd-data"
    store = Store(url)

    with started("teacher", "tiny", *SIZES, "--store", url, home=home) as driver:
        deadline = time.monotonic() + 200
        while len(store.list("teachers")) < 2 and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        kill(driver)
    kept = teachers(store)
    assert 2 <= len(kept) < len(calm)  # it was killed half-way
    assert all(calm[key] == data for key, data in kept.items())

    resumed = lsd("teacher", "tiny", *SIZES, "--store", url, home=home)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    made = int(resumed.stdout.rpartition("reused, ")[2].split()[0])
    assert 1 <= made <= 6 - len(kept)
    assert teachers(store) == calm
    assert verify(store) == []

    shards = [key for key in calm if key.endswith(".parquet")]
    flipped, lost = shards[1], shards[4]
    data = bytearray(calm[flipped])
    data[len(data) // 2] ^= 1
    store.write_bytes(flipped, bytes(data))
    store.delete(lost)
    with pytest.raises(CorruptFileError, match=flipped.rpartition("/")[2]):
        read_trajectories(store, spec_on(store))
    assert [problem.key for problem in verify(store)] == [flipped, lost]
    folder, _, _ = store.locate(flipped).rpartition("/")
    assert exit_code("verify", folder) == 1
    printed = capsys.readouterr().out
    assert f"{store.locate(flipped)} must hold" in printed
    assert f"{store.locate(lost)} must exist" in printed
    assert "2 bad" in printed

    mended = lsd("teacher", "tiny", *SIZES, "--store", url, home=home)
    assert "shards: 4 reused, 2 made" in mended.stdout, mended.stdout + mended.stderr
    assert teachers(store) == calm
    assert exit_code("verify", url) == 0


def test_a_data_set_grows_and_what_was_published_stays_valid(
    swift_bucket: str, calm: dict[str, bytes]
) -> None:
    store = Store(f"{swift_bucket}/lsd")
    spec = TeacherSpec.from_dict(
        next(json.loads(data) for key, data in calm.items() if MANIFEST in key)["spec"]
    )
    publish(load_backbone("countdown-exact"), store)
    worker = Worker(store.url)
    made = [worker.run(ShardJob(teacher=spec, shard=index)).record for index in range(6)]
    publish_manifest(store, spec, made[:2])
    first = read_trajectories(store, spec)
    publish_manifest(store, spec, made[:1:-1])
    assert teachers(store) == calm
    assert len(read_trajectories(store, spec)) == 96
    assert equal(read_trajectories(store, spec, limit=32), first)


def test_a_bad_key_is_refused_before_work_in_one_line(
    swift: Swift,
    swift_bucket: str,
    lsd_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-guess")
    for command in (["teacher", "tiny"], ["verify"], ["gc"]):
        assert exit_code(*command, "--store", swift_bucket) == 2
        printed = capsys.readouterr()
        assert len(printed.err.strip().splitlines()) == 1, printed.err
        assert "AWS_SECRET_ACCESS_KEY" in printed.err
        assert swift_bucket in printed.err
        assert "a-guess" not in printed.err + printed.out
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift.secret_key)
    assert Store(swift_bucket).list() == []


def test_many_writers_of_one_shard_leave_it_whole(swift_bucket: str, calm: dict[str, bytes]) -> None:
    """On a server whose creation is not atomic under races: the name follows from the content."""
    from concurrent.futures import ThreadPoolExecutor

    store = Store(f"{swift_bucket}/race")
    key, data = next((key, data) for key, data in calm.items() if key.endswith(".parquet"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Store(store.url).write_new(key, data), range(16)))
    assert hashlib.sha256(store.read_bytes(key)).hexdigest()[:8] in key
    assert store.list("teachers") == [key]


def test_what_is_published_on_s3_reads_as_what_was_published_in_a_folder(
    swift_bucket: str, calm: dict[str, bytes]
) -> None:
    store = Store(f"{swift_bucket}/copied")
    for key, data in calm.items():
        store.write_bytes(key, data)
    spec = spec_on(store)
    assert load_manifest(store, spec).rows == 96
    assert len(read_trajectories(store, spec, limit=40)) == 40
