"""A real object store on loopback: OpenStack Swift with its S3 interface, one disk, signed requests only.

    with start_swift(Path("data/swift")) as swift:
        os.environ |= swift.env()
        swift.make_bucket("lsd")  # then s3://lsd is a store

Installed on first use in a virtual environment of its own (about ten seconds). Four processes, 240 MB.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.stack.packages import StackError, clean_environment, installed
from infra.stack.swift_files import ACCESS_KEY, BACKENDS, write_files

REQUIREMENTS = Path(__file__).with_suffix(".txt")
REGION = "us-east-1"
SERVERS = (*BACKENDS, "proxy")
_PIDS = "pids.json"


@dataclass(frozen=True)
class Swift:
    """A running server; `stop` it, or leave the `with` block."""

    home: Path
    url: str
    """Endpoint, such as http://127.0.0.1:8333."""
    access_key: str
    secret_key: str = field(repr=False)
    """Made at start unless given; the same account with a new key after a restart."""
    pids: tuple[int, ...]

    def env(self) -> dict[str, str]:
        """What a client must find in its environment: boto3, s3fs, our Store and MLflow read these."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "MLFLOW_S3_ENDPOINT_URL": self.url,
        }

    def make_bucket(self, name: str) -> str:
        """Create a bucket unless it is there, and return its URL."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
        )
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def stop(self) -> None:
        """End the four processes; what is stored stays."""
        stop_swift(self.home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_swift(
    home: Path, port: int | None = None, *, secret_key: str | None = None, wait_s: float = 60.0
) -> Swift:
    """Start a server that keeps its files in `home`; one that still runs there is stopped first.

    `port` is a free one if left out, `secret_key` a new one. It outlives this process. Raises StackError
    where it cannot be installed or does not answer within `wait_s`, with the last line that the server said.
    """
    bin_folder = installed("swift", REQUIREMENTS)
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    stop_swift(home)
    ports = _ports(port)
    secret_key = secret_key or secrets.token_urlsafe(24)
    write_files(home, bin_folder, ports, secret_key)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in SERVERS:
            processes[name] = _launch(home, bin_folder, name)
        pids = {name: process.pid for name, process in processes.items()}
        (home / _PIDS).write_text(json.dumps(pids))
        deadline = time.monotonic() + wait_s
        for name in SERVERS:
            _wait_healthy(home, name, ports[name], processes[name], deadline)
    except BaseException:
        for process in processes.values():
            process.kill()
            process.wait()
        raise
    _CHILDREN.update({process.pid: process for process in processes.values()})
    return Swift(home, f"http://127.0.0.1:{ports['proxy']}", ACCESS_KEY, secret_key, tuple(pids.values()))


def stop_swift(home: Path, wait_s: float = 10.0) -> None:
    """Stop what was started in this folder, by this process or another; nothing if nothing runs."""
    home = home.absolute()
    try:
        pids = list(json.loads((home / _PIDS).read_text()).values())
    except FileNotFoundError:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in (pid for pid in pids if _is_ours(pid, home)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + wait_s
        while any(_is_ours(pid, home) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
    (home / _PIDS).unlink(missing_ok=True)


def swift_runs(home: Path) -> bool:
    """Whether all its processes live."""
    return len(swift_pids(home)) == len(SERVERS)


def swift_pids(home: Path) -> list[int]:
    """Those of its processes that live."""
    try:
        pids = list(json.loads((home.absolute() / _PIDS).read_text()).values())
    except FileNotFoundError:
        return []
    return [pid for pid in pids if _is_ours(pid, home.absolute())]


_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def _is_ours(pid: int, home: Path) -> bool:
    """Whether a process is alive and one of this folder's: its number may be another's by now."""
    child = _CHILDREN.get(pid)
    if child is not None and child.poll() is not None:
        del _CHILDREN[pid]
    try:
        return f"{home}/etc/".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _launch(home: Path, bin_folder: Path, name: str) -> subprocess.Popen[bytes]:
    command = [str(bin_folder / f"swift-{name}-server"), f"{home}/etc/{name}.conf", "--verbose"]
    with open(home / f"{name}.log", "wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_environment(),
            start_new_session=True,  # the terminal that started it may be closed
        )


def _wait_healthy(
    home: Path, name: str, port: int, process: subprocess.Popen[bytes], deadline: float
) -> None:
    while True:
        if _answers(port):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            said = (home / f"{name}.log").read_text(errors="replace").strip().splitlines()
            state = "runs but does not answer" if process.poll() is None else f"ended ({process.returncode})"
            raise StackError(f"swift's {name} server {state}: {said[-1] if said else 'it said nothing'}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # URLError is one
        return False


def _ports(port: int | None) -> dict[str, int]:
    """A port for each server, free at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in SERVERS}
        for name, free in sockets.items():
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                free.bind(("127.0.0.1", port or 0 if name == "proxy" else 0))
            except OSError as error:
                raise StackError(f"port {port} is taken: {error}") from None
        return {name: free.getsockname()[1] for name, free in sockets.items()}
