"""Ports and credentials of a stack: chosen at its first start, then kept, readable by its owner alone."""

import json
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The ports that the tools' own manuals name; where one is taken, a free one takes its place.
PORTS = {
    "postgres": 5432,
    "s3": 8333,
    "mlflow": 5000,
    "prefect": 4200,
    "ray": 6379,
    "ray_dashboard": 8265,
}
SECRETS = ("postgres", "s3", "mlflow", "prefect", "ray", "flask")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Facts:
    """Ports and secrets of one stack."""

    ports: Mapping[str, int]
    secrets: Mapping[str, str]

    @staticmethod
    def of(home: Path, usual_ports: bool = True) -> "Facts":
        """Those of the stack in this folder, made where there are none."""
        file = home / "facts.json"
        if file.exists():
            record = json.loads(file.read_text())
            return Facts(record["ports"], record["secrets"])
        ports: dict[str, int] = {}
        for name, usual in PORTS.items():
            ports[name] = free_port(usual if usual_ports else 0, taken=ports.values())
        facts = Facts(ports, {name: secrets.token_hex(24) for name in SECRETS})
        write_private(file, json.dumps({"ports": ports, "secrets": facts.secrets}, indent=1))
        return facts

    def url(self, name: str, path: str = "") -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}{path}"


def free_port(usual: int, taken: object = ()) -> int:
    """The usual port if it is free, else another free one."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            if found not in taken:  # type: ignore[operator]
                return found
    return free_port(0, taken)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".draft")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w") as out:
        out.write(text)
    os.replace(draft, file)


def env_file(values: Mapping[str, str]) -> str:
    """Lines that a shell can source."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
