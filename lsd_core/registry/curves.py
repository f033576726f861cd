"""Learning curves as MLflow runs, logged while a table is being learned.

A curve is for watching. The whole history is logged with the sampler, whether or not its curve was complete.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from lsd_core.registry import tracking
from lsd_core.registry.connect import connect
from lsd_core.registry.writing import ensure_experiment

KIND = "learning"
BATCH = 1000  # metrics that MLflow takes in one request


def begin_curve(
    backbone: str, title: str, *, key: str, flow_run: str = "", tracking_uri: str | None = None
) -> str:
    """Open the run of a curve in the backbone's experiment and return its id.

    `key` says where the table will lie, `flow_run` which flow it belongs to, for `end_curves`.
    """
    client = connect(tracking_uri)
    tags = {"kind": KIND, "table": key, "flow_run": flow_run}
    run_id: str = client.create_run(
        ensure_experiment(client, backbone), run_name=title, tags=tags
    ).info.run_id
    return run_id


def add_points(
    run_id: str, points: Iterable[tuple[int, Mapping[str, float]]], *, tracking_uri: str | None = None
) -> None:
    """Add (step, values) to a curve. Raises Unreachable within seconds where the server does not answer."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for step, values in points for name, value in values.items()]
    client = _client(tracking_uri)
    for begin in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics[begin : begin + BATCH])


def end_curve(run_id: str, status: str, *, tracking_uri: str | None = None) -> None:
    """Close a curve: FINISHED, FAILED, or KILLED where it was cut off."""
    _client(tracking_uri).set_terminated(run_id, status)


def end_curves(flow_run: str, *, tracking_uri: str | None = None) -> int:
    """Close what a flow run that was cut off left open; returns how many curves that were."""
    client = connect(tracking_uri)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.flow_run = '{flow_run}' and tags.kind = '{KIND}' and attributes.status = 'RUNNING'"
    open_ones = client.search_runs(everywhere, wanted)
    for run in open_ones:
        with contextlib.suppress(tracking.Unreachable):
            client.set_terminated(run.info.run_id, "KILLED")
    return len(open_ones)


def _client(tracking_uri: str | None) -> Any:
    """A client of a server that answers, asked as quickly as that can be."""
    from mlflow import MlflowClient

    uri = tracking.find(tracking_uri, reading=False)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
