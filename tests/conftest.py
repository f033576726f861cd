"""What every test shares: checked tensor shapes, one thread, a clean environment, Ray and Prefect once."""

import gc
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

from flows.settings import embedded_environment
from tests.checked_calls import checked

# Before anything imports these tools: no telemetry, and no traces outside this folder.
_SCRATCH = tempfile.TemporaryDirectory(prefix="lsd-tests-")
os.environ |= embedded_environment(Path(_SCRATCH.name))

# The annotated shapes of lsd_core are checked on every call made by a test.
jaxtyping.install_import_hook("lsd_core", "beartype.beartype")
jaxtyping.jaxtyped = checked


OURS = (
    "LSD_",
    "HF_",
    "MLFLOW_TRACKING",
    "MLFLOW_REGISTRY",
    "MLFLOW_S3",
    "RAY_ADDRESS",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    "PREFECT_API",
    "AWS_",
)


SHARED = {  # what takes seconds to start: group of the files that use it, the longest first
    "running_stack": "stack",
    "deployed": "stack",
    "local_ray": "ray",
    "prefect_api": "ray",
    "served_registry": "registry",
    "swift": "swift",
    "swift_bucket": "swift",
    "done": "report",
    "shown": "report",
}
GROUPS = list(dict.fromkeys(SHARED.values()))
ROOT = Path(__file__).parents[1]


@cache
def group_of(path: Path) -> str:
    """The group of a file of tests: of the fixtures that its functions take, else its own."""
    text = path.read_text()
    named = {
        group
        for name, group in SHARED.items()
        if re.search(rf"""(?:def \w+|usefixtures)\([^)]*\b{name}\b""", text)
    }
    if path.parent.name == "registry":  # by name, as its test runs
        named.add("registry")
    return min(named, key=GROUPS.index, default=str(path))


def pytest_sessionstart(session: pytest.Session) -> None:
    """One thread a process, and memory kept, wherever tests run: not in the process that hands them out to others."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        import torch

        from lsd_core.numerics.allocator import keep_freed_memory

        torch.set_num_threads(1)
        keep_freed_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays: the garbage collector need not walk over it again and again."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that share something are one process's work, in which it is started once.

    pytest-xdist's own `loadgroup` adds a group to a test's id, where pytest 9.2 no longer reads it.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(ROOT / nodeid.partition("::")[0])

    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups are begun first, then what else is slow, so that no process has a long file left at the end.

    What starts servers, Ray or the program, and the whole of `integration`, is slow: `make check` leaves it out.
    """
    for item in items:
        if SHARED.keys() & set(getattr(item, "fixturenames", ())) or "integration" in item.path.parts:
            item.add_marker(pytest.mark.slow)
    last = len(GROUPS)
    rank = {name: number for number, name in enumerate(GROUPS)}
    slow = {group_of(item.path) for item in items if any(map(item.get_closest_marker, ("slow", "servers")))}

    def place(item: pytest.Item) -> tuple[int, bool, Path]:
        group = group_of(item.path)
        return rank.get(group, last), group not in slow, item.path

    items.sort(key=place)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the URLs and credentials of whoever runs it, or of a test before it.

    Tools leave some behind: MLflow keeps the last tracking URI in the environment.
    """
    found = {name for name in os.environ if name.startswith(OURS)}
    for name in found - {"LSD_REQUIRE_SERVERS"}:
        monkeypatch.delenv(name)
    yield
    for name in [name for name in os.environ if name.startswith(OURS) and name not in found]:
        del os.environ[name]


@pytest.fixture
def lsd_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home folder, set as LSD_HOME; the working directory is beside it."""
    home = tmp_path / "lsd-data"
    monkeypatch.setenv("LSD_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A private Ray of two cores for the whole session; never `ray stop`, which kills everybody's."""
    from workers.session import LOCAL, ray_session

    with ray_session(LOCAL, num_cpus=2):
        yield


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The URL of a temporary Prefect API for the whole session, which flows of this process use."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=240):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def prefect_api(prefect_server: str) -> None:
    """The same, for tests whose flows run in this process."""


@pytest.fixture
def joined_prefect(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that a test starts join it: a server of their own takes each half a minute of a core to start."""
    monkeypatch.setenv("LSD_PREFECT_API_URL", prefect_server)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A mock S3 server of this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sets to reach it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def bucket(s3_environment: None) -> str:
    """A fresh bucket."""
    import boto3

    name = f"b-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def served_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server` over sqlite, artifacts through the server; stopped with its children at the end."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(f"{url}/health", server, folder / "log.txt")
            yield url
        finally:
            os.killpg(server.pid, 15)
            server.wait(120)


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"no MLflow server at {url}: {log.read_text()}")
