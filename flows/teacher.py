"""The flow `teacher`: trajectories alone, so that a later grid finds its shards ready."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.states import Completed, State

from flows.config import GridConfig
from flows.pipeline.progress import LogProgress, Progress
from flows.pipeline.retries import PATIENT
from flows.pipeline.run import Run
from flows.pipeline.state_hooks import close_cancelled, close_crashed
from flows.pipeline.teacher_work import make_trajectories
from flows.settings import Settings, resolve


@task(cache_policy=NO_CACHE, task_run_name="trajectories", **PATIENT)
def trajectories(config: GridConfig, settings: Settings, progress: Progress) -> Run:
    """Have them generated and their manifests published."""
    return make_trajectories(config, settings, progress)


@flow(
    name="teacher",
    flow_run_name="teacher {config.name}",
    persist_result=False,
    result_serializer="json",
    on_cancellation=[close_cancelled],
    on_crashed=[close_crashed],
)
def teacher(config: GridConfig = GridConfig()) -> State[Any]:
    """Generate and publish the trajectories of every backbone of a grid."""
    settings = resolve(config=config.places)
    settings.apply()
    run = trajectories(config, settings, LogProgress(get_run_logger().info))
    return Completed(message=f"{run.made['shards']} shards made, {run.reused['shards']} reused")
