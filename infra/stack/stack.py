"""The whole stack: which servers there are, in which order they start, and what their clients need to know."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.stack import mlflow, postgres, prefect, ray, swift
from infra.stack.facts import Facts, env_file, write_private
from infra.stack.processes import Process
from infra.stack.server import ROOT, Keeper, Server

BUCKETS = ("lsd", "mlflow")
Say = Callable[[str], None]


@dataclass
class Stack:
    """Real servers on loopback, in one home folder: what they store, their logs, their credentials."""

    home: Path
    usual_ports: bool = True
    nodes: int = 1
    """Ray nodes beside the head."""
    dashboard: bool = True
    """Whether Ray shows one: ten processes."""
    cpus_per_node: int = field(default_factory=lambda: max(1, (os.cpu_count() or 2) // 2))
    through: Callable[[str], str] = lambda url: url
    """Where clients find the object store, given its URL: tests put a proxy between."""
    flow_env: Mapping[str, str] = field(default_factory=dict)
    """What flow runs find in their environment on top of `env`."""
    say: Say = lambda text: None

    def __post_init__(self) -> None:
        self.home = self.home.absolute()
        self.facts = Facts.of(self.home, self.usual_ports)
        self.keeper = Keeper(self.home)

    def up(self) -> None:
        """Start what does not run, wait until it is healthy, and deploy the flows.

        Raises StackError that names the server which did not come up; what did stays.
        """
        for name in self.names:
            self.start(name)
        write_private(self.env_path, env_file(self.env))
        prefect.deploy(self.env)
        self.say(f"{'deployed':<14} lsd/distill-grid, teacher/teacher")

    def down(self) -> None:
        """Stop everything, last started first. What is stored stays."""
        for name in reversed(self.names):
            self.stop(name)
        shutil.rmtree(ray.session_folder(self.home), ignore_errors=True)

    def start(self, name: str) -> None:
        """Start one server."""
        if name == "s3":
            self._start_swift()
        else:
            server = self._server(name)
            self.keeper.start(server)
            self.say(f"{name:<14} {server.url or 'runs'}")
        if name == "postgres":
            postgres.make_databases(self.facts)

    def stop(self, name: str) -> None:
        """Stop one server; nothing if it does not run."""
        if name == "s3":
            swift.stop_swift(self.home / "s3")
        else:
            # A flow that is asked while its worker lives says that it crashed; later the worker would not let it.
            self.keeper.stop(name, first="prefect.engine" if name == "prefect-worker" else "")

    def kill(self, name: str) -> None:
        """End one server as a power cut would."""
        if name == "s3":
            swift.kill_swift(self.home / "s3")
        else:
            self.keeper.kill(name)

    def runs(self, name: str) -> bool:
        """Whether it does."""
        if name == "s3":
            return len(swift.swift_processes(self.home / "s3")) == len(swift.SERVERS)
        return self.keeper.process(name) is not None

    def processes(self) -> set[Process]:
        """Everything that it started and that lives."""
        leaders = [self.keeper.process(name) for name in self.names]
        found = {member for leader in leaders if leader for member in leader.family()}
        return found | set(swift.swift_processes(self.home / "s3"))

    @property
    def names(self) -> list[str]:
        """In the order they start."""
        ray_nodes = [f"ray-node-{number}" for number in range(1, self.nodes + 1)]
        first = ["postgres"] if self.database == "postgres" else []
        return [*first, "s3", "mlflow", "prefect", "ray-head", *ray_nodes, "prefect-worker"]

    @property
    def database(self) -> str:
        """`postgres`, or `sqlite` where that cannot run here."""
        return "sqlite" if postgres.why_not(self.home / "postgres") else "postgres"

    @property
    def env_path(self) -> Path:
        """What a client needs, to be sourced by a shell."""
        return self.home / "stack.env"

    @property
    def env(self) -> dict[str, str]:
        """What a client needs: the flow, `lsd`, `prefect`, `mlflow`, a notebook."""
        return (
            {"LSD_HOME": str(self.home / "flows"), "LSD_STORE": "s3://lsd/store", "LSD_ROOT": str(ROOT)}
            | self._s3_env()
            | mlflow.client_env(self.facts)
            | ray.client_env(self.facts)
            | prefect.client_env(self.home / "prefect", self.facts)
        )

    def _start_swift(self) -> None:
        home, port = self.home / "s3", self.facts.ports["s3"]
        if not self.runs("s3"):
            server = swift.start_swift(home, port, secret_key=self.facts.secrets["s3"])
            for bucket in BUCKETS:
                server.make_bucket(bucket)
        self.say(f"{'s3':<14} {self.facts.url('s3')}")

    def _s3_env(self) -> dict[str, str]:
        url = self.through(self.facts.url("s3"))
        return swift.Swift(self.home / "s3", url, swift.ACCESS_KEY, self.facts.secrets["s3"], ()).env()

    def _server(self, name: str) -> Server:
        facts = self.facts
        match name:
            case "postgres":
                return postgres.server(self.home / "postgres", facts)
            case "mlflow":
                database = self._database("mlflow", "psycopg2", "pysqlite")
                s3 = self._s3_env()
                folder = self._folder("mlflow")
                return mlflow.server(folder, facts, database=database, artifacts="s3://mlflow/", s3=s3)
            case "prefect":
                return prefect.server(
                    self._folder("prefect"), facts, database=self._database("prefect", "asyncpg", "aiosqlite")
                )
            case "ray-head":
                folder = ray.session_folder(self.home)
                return ray.head(facts, folder, self.cpus_per_node, self._s3_env(), self.dashboard)
            case "prefect-worker":
                return prefect.worker(facts, self.env | dict(self.flow_env))
        return ray.node(facts, int(name.removeprefix("ray-node-")), self.cpus_per_node, self._s3_env())

    def _database(self, name: str, postgres_driver: str, sqlite_driver: str) -> str:
        """SQLAlchemy's URL of a server's own database."""
        if self.database == "postgres":
            return postgres.url(name, self.facts, postgres_driver)
        return f"sqlite+{sqlite_driver}:///{self._folder(name) / f'{name}.db'}"

    def _folder(self, name: str) -> Path:
        folder = self.home / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
