"""An S3 server and an MLflow server that can be killed and started again on the same data and address."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.stack.stack import Stack
from lsd_core.storage.store import Store

NAMES = ("s3", "mlflow")


@dataclass(frozen=True)
class RecordServers:
    """Running servers; what reaches them lies in this process's environment."""

    stack: Stack

    def start(self) -> None:
        """Start what does not run, and wait until it answers."""
        for name in ("postgres", *NAMES):
            if name in self.stack.names:
                self.stack.start(name)

    def kill(self, name: str) -> None:
        self.stack.kill(name)

    def env(self, store: str) -> dict[str, str]:
        """What a driver with its store there and its records in the registry finds in its environment."""
        reached = {
            name: value for name, value in self.stack.env.items() if name.startswith(("AWS_", "MLFLOW_"))
        }
        return reached | {"LSD_STORE": store}

    def forget(self) -> None:
        """Empty the registry: the next run registers everything anew."""
        from mlflow import MlflowClient

        client = MlflowClient()
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)
        for experiment in client.search_experiments():
            for run in client.search_runs([experiment.experiment_id]):
                client.delete_run(run.info.run_id)

    def wrong(self, store: str) -> str:
        """What the registry lacks of a completed run on this store, or has too much of; "" if nothing."""
        from mlflow import MlflowClient

        client = MlflowClient()
        cards = [key for key in Store(store).list("cells") if key.endswith("/card.json")]
        versions = client.search_model_versions()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        open_runs = client.search_runs(experiments, "attributes.status = 'RUNNING'")
        if len(versions) != len(cards):
            return f"{len(versions)} versions are registered for {len(cards)} cards"
        return f"{len(open_runs)} runs of MLflow are still RUNNING" if open_runs else ""


@contextmanager
def record_servers(home: Path) -> Iterator[RecordServers]:
    """Servers for the length of the block."""
    stack = Stack(home, usual_ports=False)
    servers = RecordServers(stack)
    try:
        servers.start()
        os.environ |= servers.env("")
        yield servers
    finally:
        stack.down()
