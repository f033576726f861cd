"""Prefect state hooks: close open task runs and MLflow runs when a flow is cancelled or crashes."""

from contextlib import suppress
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Crashed, State

from flows.settings import resolve

_OPEN = (StateType.PENDING, StateType.RUNNING, StateType.SCHEDULED, StateType.CANCELLING)


def close_cancelled(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Tasks that the cancellation interrupted are Cancelled; Prefect leaves them Running, or Crashed by its signal."""
    _close(flow_run, Cancelled(message="The run was cancelled; what was published stays."), StateType.CRASHED)


def close_crashed(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Tasks of a run whose process died are Crashed with it."""
    _close(flow_run, Crashed(message="The process of the run died; run the same grid again to resume."))


def _close(flow_run: FlowRun, state: State[Any], *also: StateType) -> None:
    with get_client(sync_client=True) as client:
        mine = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
        for task_run in client.read_task_runs(flow_run_filter=mine):
            if task_run.state_type in (*_OPEN, *also):
                client.set_task_run_state(task_run.id, state, force=True)
    with suppress(Exception):  # the registry may be away, and its curves are but for watching
        from lsd_core import registry  # MLflow takes seconds to import, and the tasks above come first

        given = flow_run.parameters.get("config")  # or the name of a ready grid, which names no places
        places = {"tracking_uri": given.get("tracking_uri")} if isinstance(given, dict) else {}
        uri = resolve(config=places).tracking_uri
        registry.end_curves(str(flow_run.id), tracking_uri=uri)
