"""The Prefect server, a worker that runs the deployments of prefect.yaml, and their deployment."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from infra.stack.facts import LOOPBACK, Facts
from infra.stack.packages import StackError, clean_environment
from infra.stack.server import ROOT, Server, answers, python_path, tool

POOL = "lsd-pool"
WORKER = "stack"
_USER = "lsd"
_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def server(home: Path, facts: Facts, *, database: str) -> Server:
    """`database` is SQLAlchemy's URL with an asynchronous driver."""
    return Server(
        name="prefect",
        command=[
            *(tool("prefect"), "server", "start"),
            *("--host", LOOPBACK, "--port", str(facts.ports["prefect"])),
        ],
        healthy=lambda: answers(facts.url("prefect", "/api/health")),
        url=facts.url("prefect"),
        env=python_path()
        | _QUIET
        | {
            "PREFECT_HOME": str(home),
            "PREFECT_API_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_API_AUTH_STRING": _login(facts),
            "PREFECT_SERVER_UI_API_URL": facts.url("prefect", "/api"),
        },
    )


def worker(facts: Facts, env: Mapping[str, str]) -> Server:
    """A worker of the pool, which it makes; `env` is what its flow runs find."""
    return Server(
        name="prefect-worker",
        command=[
            *(tool("prefect"), "worker", "start", "--pool", POOL, "--type", "process"),
            *("--name", WORKER, "--limit", "4"),
        ],
        healthy=lambda: _worker_is_online(facts),
        env=python_path() | _QUIET | {"PREFECT_WORKER_QUERY_SECONDS": "2"} | dict(env),
    )


def client_env(home: Path, facts: Facts) -> dict[str, str]:
    """What reaches the server."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": facts.url("prefect", "/api"),
        "PREFECT_API_AUTH_STRING": _login(facts),
    }


def deploy(env: Mapping[str, str]) -> None:
    """Register every deployment of prefect.yaml."""
    done = subprocess.run(
        [tool("prefect"), "--no-prompt", "deploy", "--all"],
        env=clean_environment() | python_path() | _QUIET | dict(env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise StackError(f"prefect.yaml could not be deployed: {' '.join(said[-3:])}")


def _login(facts: Facts) -> str:
    return f"{_USER}:{facts.secrets['prefect']}"


def _worker_is_online(facts: Facts) -> bool:
    """Whether the server has heard from it."""
    login = base64.b64encode(_login(facts).encode()).decode()
    request = urllib.request.Request(
        facts.url("prefect", f"/api/work_pools/{POOL}/workers/filter"),
        data=b"{}",
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            known = json.load(answer)
    except (urllib.error.URLError, OSError):
        return False
    return any(found["name"] == WORKER and found["status"] == "ONLINE" for found in known)
