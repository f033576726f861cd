"""A real object store on loopback: OpenStack Swift with its S3 interface, one disk, signed requests only.

    with start_swift(Path("data/swift")) as swift:
        os.environ |= swift.env()
        swift.make_bucket("lsd")  # then s3://lsd is a store

Installed on first use in a virtual environment of its own (about ten seconds). Four processes, 240 MB.
"""

import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.stack.facts import LOOPBACK, free_port
from infra.stack.packages import StackError, installed
from infra.stack.processes import Process
from infra.stack.server import Keeper, Server, answers
from infra.stack.swift_files import ACCESS_KEY, BACKENDS, write_files

REQUIREMENTS = Path(__file__).with_suffix(".txt")
REGION = "us-east-1"
SERVERS = (*BACKENDS, "proxy")


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
    servers = [_server(home, bin_folder, name, ports[name]) for name in SERVERS]
    try:
        with ThreadPoolExecutor(len(servers)) as side_by_side:
            list(side_by_side.map(partial(Keeper(home).start, wait_s=wait_s), servers))
    except BaseException:
        stop_swift(home)
        raise
    url = f"http://{LOOPBACK}:{ports['proxy']}"
    return Swift(home, url, ACCESS_KEY, secret_key, tuple(process.pid for process in swift_processes(home)))


def stop_swift(home: Path) -> None:
    """Stop what was started in this folder, by this process or another; nothing if nothing runs."""
    with ThreadPoolExecutor(len(SERVERS)) as side_by_side:
        list(side_by_side.map(Keeper(home.absolute()).stop, map(_named, SERVERS)))


def kill_swift(home: Path) -> None:
    """End what was started in this folder as a power cut would."""
    with ThreadPoolExecutor(len(SERVERS)) as side_by_side:
        list(side_by_side.map(Keeper(home.absolute()).kill, map(_named, SERVERS)))


def swift_processes(home: Path) -> list[Process]:
    """Those of its processes that live: four where it runs."""
    found = (Keeper(home.absolute()).process(_named(name)) for name in SERVERS)
    return [process for process in found if process is not None]


def _named(name: str) -> str:
    return f"swift-{name}"


def _server(home: Path, bin_folder: Path, name: str, port: int) -> Server:
    return Server(
        name=_named(name),
        command=[str(bin_folder / f"swift-{name}-server"), f"{home}/etc/{name}.conf", "--verbose"],
        healthy=lambda: answers(f"http://{LOOPBACK}:{port}/healthcheck"),
    )


def _ports(port: int | None) -> dict[str, int]:
    """A port for each server, free at this moment."""
    ports: dict[str, int] = {}
    for name in SERVERS:
        asked = port if name == "proxy" else None
        ports[name] = free_port(asked or 0, taken=ports.values())
        if asked and ports[name] != asked:
            raise StackError(f"port {asked} is taken")
    return ports
