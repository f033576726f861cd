"""A deployed flow, seen from outside: started, watched and cancelled through Prefect's API alone."""

import time
from collections.abc import Mapping
from typing import Any

import httpx

FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


class PrefectApi:
    """What these tests ask of the server."""

    def __init__(self, url: str, login: str) -> None:
        user, _, password = login.partition(":")
        self.http = httpx.Client(base_url=url, auth=(user, password), timeout=30)

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    def run(self, deployment: str, config: Mapping[str, Any]) -> "FlowRun":
        """Ask for a run."""
        found = self.get(f"/deployments/name/{deployment}")
        made = self.post(f"/deployments/{found['id']}/create_flow_run", {"parameters": {"config": config}})
        return FlowRun(self, made["id"])


class FlowRun:
    """One run of a deployment."""

    def __init__(self, api: PrefectApi, run_id: str) -> None:
        self.api, self.id = api, run_id

    def read(self) -> Any:
        return self.api.get(f"/flow_runs/{self.id}")

    def wait(self, wait_s: float = 400) -> str:
        """The type of its final state."""
        deadline = time.monotonic() + wait_s
        while (state := self.read()["state"])["type"] not in FINAL:
            assert time.monotonic() < deadline, f"still {state['name']} after {wait_s} s\n{self.log()}"
            time.sleep(0.25)
        return str(state["type"])

    def cancel(self) -> None:
        self.api.post(f"/flow_runs/{self.id}/set_state", {"state": {"type": "CANCELLING"}})

    def task_states(self) -> dict[str, str]:
        """Name of each task run -> type of its state."""
        found = self.api.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [self.id]}}})
        return {task["name"]: task["state"]["type"] for task in found}

    def retrying(self) -> set[str]:
        """Names of the task runs that wait for another try."""
        found = self.api.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [self.id]}}})
        return {task["name"] for task in found if task["state"]["name"] == "AwaitingRetry"}

    def artifacts(self) -> dict[str, Any]:
        found = self.api.post("/artifacts/filter", {"flow_runs": {"id": {"any_": [self.id]}}})
        return {artifact["key"]: artifact for artifact in found}

    def learning(self) -> list[Any]:
        """The runs in the registry in which its learning curves grow."""
        from mlflow import MlflowClient

        client = MlflowClient()
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(everywhere, f"tags.flow_run = '{self.id}' and tags.kind = 'learning'"))

    def log(self) -> str:
        """What it has logged so far."""
        body = {"logs": {"flow_run_id": {"any_": [self.id]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        return "\n".join(line["message"] for line in self.api.post("/logs/filter", body))
