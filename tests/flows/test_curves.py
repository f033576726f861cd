"""Learning curves grow in a real MLflow server while work goes on, and nobody suffers where there is none."""

import logging
import socket
import time
from typing import Any

import pytest
from mlflow import MlflowClient

from flows.pipeline.live_curves import LiveCurves, hearing
from flows.pipeline.progress import LogProgress
from lsd_core import registry
from workers.messages import Message

KEY = "cells/k/table-0.json"
PROGRESS = LogProgress(logging.getLogger("curves").info)


def points(backbone: str, *losses: float, first: int = 0, status: str = "RUNNING", pid: int = 7) -> Message:
    """What a worker tells."""
    points = [(first + n, {"loss": loss}) for n, loss in enumerate(losses)]
    record = {"key": KEY, "backbone": backbone, "title": "learning", "points": points, "status": status}
    return Message("here", pid, record)


def curves_of(client: MlflowClient, backbone: str) -> list[tuple[str, list[float], dict[str, str]]]:
    """(status, losses, tags) of each curve, oldest first."""
    experiment = client.get_experiment_by_name(backbone)
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [
        (
            run.info.status,
            [m.value for m in client.get_metric_history(run.info.run_id, "loss")],
            run.data.tags,
        )
        for run in runs
    ]


def until(look: Any, wanted: Any, wait_s: float = 30) -> None:
    deadline = time.monotonic() + wait_s
    while look() != wanted:
        assert time.monotonic() < deadline, f"{look()}, not {wanted}"
        time.sleep(0.05)


@pytest.mark.servers
def test_a_curve_grows_while_its_job_runs_and_ends_with_it(served_registry: str) -> None:
    client = MlflowClient(served_registry, served_registry)

    def shown() -> list[tuple[str, list[float]]]:
        return [(status, losses) for status, losses, _ in curves_of(client, "growing")]

    with LiveCurves(served_registry, PROGRESS, "flow-1") as curves:
        hear = hearing(PROGRESS, curves)
        hear(points("growing", 3.0))
        until(shown, [("RUNNING", [3.0])])
        hear(points("growing", 2.0, 1.0, first=1))
        until(shown, [("RUNNING", [3.0, 2.0, 1.0])])
        hear(Message("here", 7, {"key": KEY}))  # of another form
        hear(points("growing", 3.0, pid=8))  # its worker was lost, another begins anew
        until(shown, [("KILLED", [3.0, 2.0, 1.0]), ("RUNNING", [3.0])])
        hear(points("growing", 0.5, first=1, status="FINISHED", pid=8))
    assert shown() == [("KILLED", [3.0, 2.0, 1.0]), ("FINISHED", [3.0, 0.5])]
    tags = curves_of(client, "growing")[1][2]
    assert (tags["kind"], tags["table"], tags["flow_run"]) == ("learning", KEY, "flow-1")


@pytest.mark.servers
def test_what_is_cut_off_is_killed_by_its_flow_or_by_whoever_closes_it_later(
    served_registry: str,
) -> None:
    client = MlflowClient(served_registry, served_registry)
    with LiveCurves(served_registry, PROGRESS, "flow-2") as curves:
        curves.take(points("cut-off", 1.0))
    assert [status for status, _, _ in curves_of(client, "cut-off")] == ["KILLED"]
    mine, other = (
        registry.begin_curve("cut-off", "learning", key=KEY, flow_run=flow, tracking_uri=served_registry)
        for flow in ("flow-3", "flow-4")
    )
    assert registry.end_curves("flow-3", tracking_uri=served_registry) == 1
    assert client.get_run(mine).info.status == "KILLED"
    assert client.get_run(other).info.status == "RUNNING"


def test_a_registry_that_is_away_keeps_nobody_waiting(
    served_registry: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    caplog.set_level(logging.INFO)
    with LiveCurves(nobody, PROGRESS) as curves:
        for step in range(3):
            curves.take(points("away", 1.0, first=step))
        until(lambda: "learning curves wait for the registry" in caplog.text, True)
        monkeypatch.setattr(curves, "_uri", served_registry)  # it is back
        client = MlflowClient(served_registry, served_registry)
        until(lambda: [losses for _, losses, _ in curves_of(client, "away")], [[1.0, 1.0, 1.0]])
    begin = time.monotonic()
    with LiveCurves(nobody, PROGRESS) as curves:
        curves.take(points("away", 1.0))
    assert time.monotonic() - begin < 60  # and not the minutes of MLflow's own retries
    assert caplog.text.count("learning curves wait for the registry") == 2
