"""The flow `teacher`: trajectories alone, so that a later grid finds its shards ready."""

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Completed, State

from flows.config import GridConfig
from flows.progress import LogProgress
from flows.settings import resolve
from flows.teaching import make_trajectories


@flow(name="teacher", flow_run_name="teacher {config.name}", persist_result=False)
def teacher(config: GridConfig = GridConfig()) -> State[Any]:
    """Generate and publish the trajectories of every backbone of a grid."""
    settings = resolve(config=config.places)
    settings.apply()
    run = make_trajectories(config, settings, LogProgress(get_run_logger()))
    return Completed(message=f"{run.made['shards']} shards made, {run.reused['shards']} reused")
