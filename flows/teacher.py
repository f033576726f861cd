"""The flow `teacher`: trajectories alone, so that a later grid finds its shards ready."""

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Completed, State

from flows.config import GridChoice, GridConfig
from flows.pipeline.flow_options import OPTIONS
from flows.settings import resolve


@flow(name="teacher", flow_run_name="teacher {config.name}", **OPTIONS)
def teacher(config: GridChoice = GridConfig()) -> State[Any]:
    """Generate and publish the trajectories of every backbone of a grid."""
    # Here and not above: whoever cancels a run imports this file for its hooks alone.
    from flows.pipeline import tasks
    from flows.pipeline.driver import Driver, make_trajectories
    from flows.pipeline.plan import make_plan
    from flows.pipeline.progress import LogProgress
    from lsd_core.storage.store import Store

    settings, task_runs = resolve(config=config.places), tasks.TaskRuns()
    settings.apply()
    tasks.check_places(settings, config.num_gpus, config.workers, with_registry=False)
    driver = Driver(
        settings=settings,
        progress=LogProgress(get_run_logger().info),
        workers=config.workers,
        num_gpus=config.num_gpus,
        publish=tasks.publish_backbones,
        begun=task_runs.begin,
    )
    counts = make_trajectories(make_plan(config, Store(settings.store)), driver)
    task_runs.wait()
    return Completed(message=f"{counts.made['shards']} shards made, {counts.reused['shards']} reused")
