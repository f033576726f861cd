"""The flow `teacher`: trajectories alone, so that a later grid finds its shards ready."""

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import Completed, State

from flows.config import GridConfig
from flows.distill_grid import generate_teacher, publish_backbones
from flows.plan import make_plan
from flows.progress import LogProgress
from flows.run import Run
from flows.settings import resolve
from workers.session import ray_session


@flow(name="teacher", flow_run_name="teacher {config.name}", persist_result=False)
def teacher(config: GridConfig = GridConfig()) -> State[Any]:
    """Generate and publish the trajectories of every backbone of a grid."""
    settings = resolve(config=config.places)
    settings.apply()
    run = Run(make_plan(config), settings, LogProgress(get_run_logger()))
    run.store.check()
    publish_backbones(run)
    with ray_session(settings.ray_address, num_cpus=config.workers):
        for spec in run.plan.teachers:
            generate_teacher(run, spec)
    return Completed(message=f"{run.made['shards']} shards made, {run.reused['shards']} reused")
