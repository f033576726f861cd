"""Commands of a grid: run it, generate its teacher trajectories, submit its cells to a cluster, estimate its cost."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli.options import options_of
from flows.cli.shared import Json, app, console
from flows.config import GridConfig, load_grid

Ready = Annotated[str, Parameter(help="a ready grid, or a .yaml file")]


@app.command
@options_of(GridConfig, without=("name",))
def grid(name: Ready = "countdown", *, given: Mapping[str, Any]) -> int:
    """Distil, measure and register samplers for a grid of cells (backbone x NFE x base sampler).

    Run it again to resume: shards and cells that are done are reused. An option replaces what the grid says.
    """
    from flows.pipeline.embedded import run_embedded

    return run_embedded(load_grid(name, **given), console)


@app.command
@options_of(
    GridConfig, only=("teacher", "conditions", "backbones", "store", "ray_address", "workers", "num_gpus")
)
def teacher(name: Ready = "countdown", *, given: Mapping[str, Any]) -> int:
    """Generate the teacher trajectories of a grid and nothing else; a later `lsd grid` finds them ready.

    Run it again to resume: shards that are there are kept. Ctrl-C lets a shard that is nearly done finish. Name the
    number of workers on a cluster that grows on demand.
    """
    from flows.pipeline.progress import progress_on
    from flows.settings import resolve

    config = load_grid(name, **given)
    settings = resolve(config=config.places)
    settings.apply()  # before Ray is imported
    from flows.pipeline.driver import Driver, make_trajectories, prepare

    plan, progress = prepare(config, settings, with_registry=False), progress_on(console)
    driver = Driver(settings=settings, progress=progress, workers=config.workers, num_gpus=config.num_gpus)
    counts = make_trajectories(plan, driver)
    for spec in plan.teachers:
        console.print(f"{settings.store}/{spec.folder}", soft_wrap=True)
    console.print(f"shards: {counts.reused['shards']} reused, {counts.made['shards']} made")
    return 0


@app.command
@options_of(GridConfig, without=("name", "ray_address", "tracking_uri", "workers"))
def submit(
    name: Ready = "countdown", *, address: str, working_dir: Path | None = None, given: Mapping[str, Any]
) -> int:
    """Have a Ray cluster fill the cells of a grid, a job each; submitting a cell again does nothing.

    The jobs leave cards on the store. When they are done, `lsd grid` with the same options registers and promotes.
    Make the trajectories first, with `lsd teacher`: otherwise every job makes them.

    Parameters
    ----------
    address:
        the cluster's dashboard, such as http://127.0.0.1:8265; RAY_AUTH_MODE=token and RAY_AUTH_TOKEN let in.
    working_dir:
        a checkout to send along, where the cluster's image does not hold this package.
    """
    import shlex

    from flows.pipeline.cell_jobs import cells_of
    from flows.settings import resolve
    from workers.submission import Jobs

    config = load_grid(name, **given)
    settings = resolve(config=config.places)
    cells = cells_of(config, settings)
    jobs = Jobs(address)
    env = {} if working_dir is None else {"working_dir": str(working_dir), "excludes": [".git", ".venv"]}
    for cell in cells:
        asked = json.dumps(cell.config.model_dump(mode="json", exclude_unset=True))
        job = jobs.submit(
            cell.key, f"python -m flows.pipeline.cell_jobs {shlex.quote(asked)}", env, cell.label
        )
        said = "submitted" if job.new else f"there already, {job.status.lower()}"
        console.print(f"{cell.label}: {said}: {job.name}", soft_wrap=True)
    console.print(f"Next: lsd grid {name} --store {settings.store}", soft_wrap=True)
    return 0


@app.command
@options_of(GridConfig, without=("name",))
def plan(
    name: Ready = "countdown",
    *,
    rate: float | None = None,
    flops_per_s: float | None = None,
    simulate: bool = False,
    json_: Json = False,
    given: Mapping[str, Any],
) -> int:
    """Show what a grid would do and cost, without doing it: shards, network calls, memory and hours.

    Of LLaDA and Dream a folder with config.json is enough.

    Parameters
    ----------
    rate:
        trajectories a second that one worker makes, as `lsd teacher` shows it; else the rate last measured for
        this store, else that of a few network calls made now.
    flops_per_s:
        floating-point operations a second that one worker reaches, such as 2e14: a sequence takes twice the
        network's parameters times its tokens. For a network that does not run here, or has no weights here.
    simulate:
        also lay out ever larger grids, to 10 000 cells and 1 000 000 trajectories, and show the driver's time
        and memory.
    """
    from flows.pipeline.cost_lines import cost_lines, cost_record
    from flows.pipeline.costs import plan_cost
    from flows.pipeline.plan import make_plan
    from flows.settings import resolve
    from lsd_core.backbones.outline import load_or_outline
    from lsd_core.storage.store import Store as Place

    config = load_grid(name, **given)
    store = Place(resolve(config=config.places).store)
    cost = plan_cost(make_plan(config, load=load_or_outline), store, rate, flops_per_s)
    if simulate:
        from flows.pipeline.simulate import SIZES, simulated_rows

        rows = simulated_rows(config, SIZES)
    if json_:
        print(json.dumps(cost_record(cost) | ({"simulated": rows} if simulate else {}), indent=2))
        return 0
    for line in cost_lines(cost):
        console.print(line, soft_wrap=True)
    if simulate:
        from flows.pipeline.simulate import simulated_table

        console.print(simulated_table(rows))
    return 0
