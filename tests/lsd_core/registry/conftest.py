"""Registries to test against: sqlite in this process, and a real server on the loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sqlite_registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database in a folder whose name has a space."""
    return f"sqlite:///{tmp_path_factory.mktemp('a registry') / 'mlflow.db'}"


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


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.servers)])
def uri(request: pytest.FixtureRequest) -> str:
    """Each registry in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_registry", "server": "served_registry"}[request.param])


@pytest.fixture
def make(request, make_card, tiny_backbone):
    """Cards for a backbone named after the test, so that tests share a registry and nothing in it."""
    name = request.node.originalname.replace("_", "-")

    def named(fingerprint: str = tiny_backbone.fingerprint, **changes):
        backbone = {"name": name, "fingerprint": fingerprint, "family": "markov"}
        return make_card(backbone=backbone, **changes)

    named.name = name
    return named
