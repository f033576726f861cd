"""The flow `lsd`: trajectories, a distillation job for every cell, measurement, registration, promotion.

Deployed as `distill-grid` (prefect.yaml); `lsd grid` runs the same in its own process. Tasks are thin and coarse; Ray
does the work in actors that never import Prefect. Every phase asks the store what is there first, so a run
that was cut off is resumed by running it again.
"""

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger
from prefect.states import State

from flows.config import GridChoice, GridConfig
from flows.pipeline.flow_options import OPTIONS
from flows.settings import resolve


@flow(name="lsd", flow_run_name="{config.name}", validate_parameters=True, **OPTIONS)
def lsd(config: GridChoice = GridConfig()) -> State[Any]:
    """Distil samplers for every (backbone, NFE, base sampler) of a grid and register the best."""
    # Here and not above: whoever cancels a run imports this file for its hooks alone.
    from flows.pipeline.grid_flow import final_state, run_grid
    from flows.pipeline.plan import make_plan
    from flows.pipeline.progress import LogProgress
    from flows.pipeline.tasks import check_places
    from lsd_core.storage.store import Store

    settings = resolve(config=config.places)
    settings.apply()
    check_places(settings, config.num_gpus, config.workers)
    plan = make_plan(config, Store(settings.store))
    return final_state(*run_grid(plan, settings, LogProgress(get_run_logger().info)))
