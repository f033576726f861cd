"""A Ray head of our own on loopback, started as `ray start` starts it, and ended by pid: never `ray stop`."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.driving import ROOT, descendants

WATCH = """
import json, sys, time, ray
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
while True:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    print(json.dumps([resources.get("GPU", 0) for resources in nodes]), flush=True)
    time.sleep(0.3)
"""


@dataclass(frozen=True)
class Head:
    """A running head node."""

    address: str
    dashboard: str
    env: dict[str, str]
    """What a client must find in its environment: clusters ask for a token."""
    process: subprocess.Popen[bytes]
    log: Path


def free_ports(count: int) -> list[int]:
    """Ports outside those that Ray gives to its workers (10002 to 19999)."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            if not 10_000 <= probe.getsockname()[1] < 20_000:
                ports.append(probe.getsockname()[1])
        return ports


@contextlib.contextmanager
def ray_head(num_cpus: int, autoscaling: dict[str, Any] | None = None, **extra_env: str) -> Iterator[Head]:
    """A head for the length of the block; `autoscaling` is a cluster config, whose provider is told the address."""
    gcs, dashboard, client, agent = free_ports(4)
    address = f"127.0.0.1:{gcs}"
    # A busy machine may need more than the minute that Ray gives its dashboard.
    patience = {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300"}
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    )  # a job's `python` is ours
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory(prefix="r-", ignore_cleanup_errors=True) as folder:
        command = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--head",
            "--block",
            "--node-ip-address=127.0.0.1",
            f"--port={gcs}",
            f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}",
            f"--dashboard-agent-listen-port={agent}",
            f"--num-cpus={num_cpus}",
            "--object-store-memory=150000000",
            f"--temp-dir={folder}/t",
            "--disable-usage-stats",
        ]
        if autoscaling is not None:
            autoscaling["provider"]["gcs_address"] = address
            Path(folder, "cluster.json").write_text(json.dumps(autoscaling))
            command.append(f"--autoscaling-config={folder}/cluster.json")
        kept = {
            n: value for n, value in os.environ.items() if not n.startswith(("PREFECT_", "LSD_", "MLFLOW_"))
        }
        log = Path(folder, "head.log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=kept | env | patience | {"PATH": path} | {"PYTHONPATH": str(ROOT)} | extra_env,
                stdout=file,
                stderr=file,
            )
        try:
            _wait(gcs, dashboard, process, log)
            yield Head(address, f"http://127.0.0.1:{dashboard}", env, process, log)
        finally:
            end(process)


def _wait(gcs: int, dashboard: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    for port in (gcs, dashboard):
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ray did not start: {log.read_text()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and then whatever of it is left."""
    below = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    for pid in [process.pid, *below]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def watching_gpus(head: Head) -> Iterator[list[int]]:
    """A list that grows, as time goes by, by the number of living nodes with a GPU."""
    import threading

    seen: list[int] = []
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, head.address],
        env=os.environ | head.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def read() -> None:
        assert watcher.stdout is not None
        for line in watcher.stdout:
            if line.startswith("["):
                seen.append(sum(gpus > 0 for gpus in json.loads(line)))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        watcher.kill()
        watcher.wait()
        thread.join(timeout=10)
