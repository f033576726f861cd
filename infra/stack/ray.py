"""A Ray cluster of several nodes on this machine: a head, and nodes that can be killed on their own."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.stack.facts import LOOPBACK, Facts
from infra.stack.server import Server, python_path, tool

OBJECT_STORE_BYTES = 256 * 2**20  # items and results are small: data goes through the store
NODE_IP = "127.0.0.2"  # loopback too, and unlike 127.0.0.1 Ray does not replace it by a public address
UP = "Ray runtime started."


def head(facts: Facts, folder: Path, num_cpus: int, env: Mapping[str, str], dashboard: bool) -> Server:
    """The head node of the cluster; `env` is what the workers on it find."""
    shown = ["--dashboard-host", LOOPBACK, f"--dashboard-port={facts.ports['ray_dashboard']}"]
    return Server(
        name="ray-head",
        command=[
            *(tool("ray"), "start", "--head", "--block", f"--port={facts.ports['ray']}"),
            *(shown if dashboard else ["--include-dashboard=false"]),
            *(f"--temp-dir={folder}", *_common(num_cpus)),
        ],
        healthy=UP,
        url=facts.url("ray_dashboard") if dashboard else address(facts),
        env=_env(facts, env),
    )


def node(facts: Facts, number: int, num_cpus: int, env: Mapping[str, str]) -> Server:
    """Another node."""
    name = f"ray-node-{number}"
    return Server(
        name=name,
        command=[tool("ray"), "start", "--block", f"--address={address(facts)}", *_common(num_cpus, name)],
        healthy=UP,
        env=_env(facts, env),
    )


def client_env(facts: Facts) -> dict[str, str]:
    """What joins it as a driver."""
    return {
        "RAY_ADDRESS": address(facts),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": facts.secrets["ray"],
    }


def address(facts: Facts) -> str:
    return f"{NODE_IP}:{facts.ports['ray']}"


def session_folder(home: Path) -> Path:
    """Where Ray keeps sockets and logs: a short path, since a socket's may have 107 characters."""
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"lsd-ray-{digest}"


def _common(num_cpus: int, name: str = "ray-head") -> list[str]:
    return [
        f"--node-ip-address={NODE_IP}",
        f"--node-name={name}",
        f"--num-cpus={num_cpus}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        # Nodes of one machine share its ports: the kernel hands them out.
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--disable-usage-stats",
    ]


def _env(facts: Facts, env: Mapping[str, str]) -> dict[str, str]:
    return (
        python_path()
        | dict(env)
        | client_env(facts)
        | {
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "RAY_worker_niceness": "0",  # at Ray's 15 they starve beside any other program of this machine
        }
    )
