"""Real servers, started once.

With LSD_REQUIRE_SERVERS=1 a server that cannot be installed or started is a failure; without, a skip.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.config import load_grid
from infra.stack.packages import StackError
from infra.stack.stack import Stack
from infra.stack.swift import Swift, start_swift
from lsd_core.storage.store import Store
from tests.integration.deployed import FlowRun, PrefectApi
from tests.integration.proxy import FaultProxy


def unavailable(error: StackError) -> None:
    """Fail or skip, as LSD_REQUIRE_SERVERS says."""
    if os.environ.get("LSD_REQUIRE_SERVERS") == "1":
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """An S3 server that checks signatures."""
    home: Path = tmp_path_factory.mktemp("swift")
    try:
        server = start_swift(home)
    except StackError as error:
        unavailable(error)
        return
    with server:
        yield server


@pytest.fixture
def swift_environment(swift: Swift, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sets to reach it."""
    for name, value in swift.env().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def swift_bucket(swift: Swift, swift_environment: None) -> str:
    """The URL of a fresh bucket on it."""
    return swift.make_bucket(f"b-{uuid.uuid4().hex}")


@dataclass(frozen=True)
class Deployed:
    """The whole stack, with a proxy that can misbehave between everybody and the object store."""

    stack: Stack
    proxy: FaultProxy
    api: PrefectApi

    def run(self, store: str, deployment: str = "lsd/distill-grid") -> FlowRun:
        """Ask for a run of grid `tiny` on a store of its own."""
        config = load_grid("tiny", store=store)
        return self.api.run(deployment, config.model_dump(mode="json", exclude_unset=True))


@pytest.fixture(scope="package")
def running_stack() -> Iterator[Deployed]:
    """Real servers: PostgreSQL, S3, MLflow, Prefect and its worker, two Ray nodes.

    They stop when the next test is another folder's, not at the session's end: twenty processes are never quite idle.
    """
    # Not pytest's folder: the user that PostgreSQL runs as may not enter it.
    home = Path(tempfile.mkdtemp(prefix="lsd-stack-"))
    home.chmod(0o711)
    stack = Stack(home, usual_ports=False, dashboard=False, cpus_per_node=1)
    proxy = FaultProxy(stack.facts.url("s3"))
    stack.through = lambda url: proxy.url
    stack.flow_env = {
        "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # more than twenty runs wait to be found
        "LSD_CACHE": str(home / "cache"),
    }
    try:
        try:
            stack.up()
        except StackError as error:
            unavailable(error)
        yield Deployed(
            stack, proxy, PrefectApi(stack.env["PREFECT_API_URL"], stack.env["PREFECT_API_AUTH_STRING"])
        )
    finally:
        started = stack.processes()
        stack.down()
        proxy.close()
        shutil.rmtree(home, ignore_errors=True)
        left = [process for process in started if process.alive]
        assert not left


@pytest.fixture
def deployed(running_stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The stack, and in the environment what reaches it; every server runs."""
    for name in running_stack.stack.names:
        running_stack.stack.start(name)
    for name, value in running_stack.stack.env.items():
        if not name.startswith(("PREFECT_", "RAY_", "LSD_HOME", "LSD_ROOT")):
            monkeypatch.setenv(name, value)
    return running_stack


@pytest.fixture
def calm(deployed: Deployed) -> str:
    """The store of an undisturbed run of grid `tiny`, made once."""
    url = "s3://lsd/calm"
    if not Store(url).list("champions"):
        run = deployed.run(url)
        assert run.wait() == "COMPLETED", run.log()
    return url
