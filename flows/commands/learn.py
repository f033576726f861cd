"""Commands that learn: grids, their plans, studies, and the training of small backbones."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from flows.commands.shared import Json, Listed, Registry, Store, Whole, Wholes, app, console
from lsd_core.errors import InputError


@app.command
def grid(
    name: Annotated[str, Parameter(help="a ready grid, or a .yaml file")] = "countdown",
    *,
    nfe: Wholes = None,
    methods: Annotated[list[str] | None, Listed] = None,
    samplers: Annotated[list[str] | None, Listed] = None,
    backbones: Annotated[list[str] | None, Listed] = None,
    samples: Whole | None = None,
    seeds: Whole | None = None,
    metrics: Annotated[list[str] | None, Listed] = None,
    store: Store = None,
    registry: Registry = None,
    workers: Whole | None = None,
    num_gpus: float | None = None,
    batch: Whole | None = None,
) -> int:
    """Distil, measure and register samplers for a grid of cells (backbone x NFE x base sampler).

    Run it again to resume: shards and cells that are done are reused.

    Parameters
    ----------
    nfe:
        budgets of network calls, such as `--nfe 4 8 16`.
    methods:
        what fills a cell, or `all`; `plain` is always there.
    samplers:
        base samplers.
    backbones:
        names, hf://OWNER/NAME, folders or files; see docs/backbones.md.
    samples:
        sequences a seed that are reported.
    seeds:
        seeds, for learning and for sampling.
    metrics:
        beside the task's own: distinct, self_bleu, generative_perplexity:MODEL, mauve:MODEL:REFERENCE,
        fid:WEIGHTS:REFERENCE, inception_score:WEIGHTS; see docs/metrics.md.
    workers:
        Ray workers; as many as fit if left out.
    num_gpus:
        GPUs a worker; fractions share one.
    batch:
        sequences a network call while learning and measuring; a GPU wants more than a CPU.
    """
    from flows.config import load_grid
    from flows.pipeline.embedded import run_embedded

    config = load_grid(
        name,
        nfe=nfe,
        methods=methods,
        samplers=samplers,
        backbones=backbones,
        store=store,
        tracking_uri=registry,
        workers=workers,
        num_gpus=num_gpus,
        **{
            "evaluation.samples": samples,
            "evaluation.seeds": seeds,
            "evaluation.metrics": metrics,
            "evaluation.batch": batch,
        },
    )
    return run_embedded(config, console)


@app.command
def teacher(
    name: Annotated[str, Parameter(help="a ready grid, or a .yaml file")] = "countdown",
    *,
    trajectories: Whole | None = None,
    shard_rows: Whole | None = None,
    store: Store = None,
    workers: Whole | None = None,
    num_gpus: float | None = None,
) -> int:
    """Generate the teacher trajectories of a grid and nothing else; a later `lsd grid` finds them ready.

    Run it again to resume: shards that are there are kept. Ctrl-C lets a shard that is nearly done finish.

    Parameters
    ----------
    trajectories:
        how many of each backbone; a data set grows by adding shards.
    shard_rows:
        trajectories a shard; a few minutes of work each, since a worker that is taken away loses its shard.
    workers:
        Ray workers; as many as fit if left out. Name it on a cluster that grows on demand.
    num_gpus:
        GPUs a worker; fractions share one.
    """
    from flows.config import load_grid
    from flows.pipeline.progress import progress_on
    from flows.settings import resolve

    changed = {
        "teacher.trajectories": trajectories,
        "teacher.shard_rows": shard_rows,
        "store": store,
        "workers": workers,
        "num_gpus": num_gpus,
    }
    config = load_grid(name, **changed)
    settings = resolve(config=config.places)
    settings.apply()  # before Ray is imported
    from flows.pipeline.driver import Driver, make_trajectories, prepare

    plan, progress = prepare(config, settings, with_registry=False), progress_on(console)
    driver = Driver(settings=settings, progress=progress, workers=config.workers, num_gpus=config.num_gpus)
    counts = make_trajectories(plan, driver)
    for spec in plan.teachers:
        console.print(f"{settings.store}/{spec.folder}", highlight=False, soft_wrap=True)
    console.print(f"shards: {counts.reused['shards']} reused, {counts.made['shards']} made", highlight=False)
    return 0


@app.command
def submit(
    name: Annotated[str, Parameter(help="a ready grid, or a .yaml file")] = "countdown",
    *,
    address: str,
    nfe: Wholes = None,
    methods: Annotated[list[str] | None, Listed] = None,
    samplers: Annotated[list[str] | None, Listed] = None,
    backbones: Annotated[list[str] | None, Listed] = None,
    store: Store = None,
    working_dir: Path | None = None,
) -> int:
    """Have a Ray cluster fill the cells of a grid, a job each; submitting a cell again does nothing.

    The jobs leave cards on the store. When they are done, `lsd grid` with the same options registers and promotes.
    Make the trajectories first, with `lsd teacher`: otherwise every job makes them.

    Parameters
    ----------
    address:
        the cluster's dashboard, such as http://127.0.0.1:8265; RAY_AUTH_MODE=token and RAY_AUTH_TOKEN let in.
    nfe:
        budgets of network calls.
    methods:
        what fills a cell.
    samplers:
        base samplers.
    backbones:
        names, or paths that the cluster can read.
    working_dir:
        a checkout to send along, where the cluster's image does not hold this package.
    """
    import shlex

    from flows.config import load_grid
    from flows.pipeline.cell_jobs import cells_of
    from flows.settings import resolve
    from workers.submission import Jobs

    config = load_grid(name, nfe=nfe, methods=methods, samplers=samplers, backbones=backbones, store=store)
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
        console.print(f"{cell.label}: {said}: {job.name}", highlight=False, soft_wrap=True)
    console.print(f"Next: lsd grid {name} --store {settings.store}", highlight=False, soft_wrap=True)
    return 0


@app.command
def plan(
    name: Annotated[str, Parameter(help="a ready grid, or a .yaml file")] = "countdown",
    *,
    nfe: Wholes = None,
    methods: Annotated[list[str] | None, Listed] = None,
    samplers: Annotated[list[str] | None, Listed] = None,
    backbones: Annotated[list[str] | None, Listed] = None,
    samples: Whole | None = None,
    seeds: Whole | None = None,
    trajectories: Whole | None = None,
    rate: float | None = None,
    simulate: bool = False,
    store: Store = None,
    json_: Json = False,
) -> int:
    """Show what a grid would do and cost, without doing it.

    Parameters
    ----------
    nfe:
        budgets of network calls, as `lsd grid` takes them; so are the next five.
    methods:
        what fills a cell, or `all`.
    samplers:
        base samplers.
    backbones:
        names, hf://OWNER/NAME, folders or files.
    samples:
        sequences a seed that are reported.
    seeds:
        seeds, for learning and for sampling.
    trajectories:
        as if the grid asked for so many.
    rate:
        trajectories a second that one worker makes, as `lsd teacher` shows it; else the rate last measured for
        this store, else that of a few network calls made now.
    simulate:
        also lay out ever larger grids, to 10 000 cells and 1 000 000 trajectories, and show the driver's time
        and memory.
    """
    from flows.config import load_grid
    from flows.pipeline.cost_lines import cost_lines, cost_record
    from flows.pipeline.costs import plan_cost
    from flows.pipeline.plan import make_plan
    from flows.settings import resolve
    from lsd_core.storage.store import Store as Place

    config = load_grid(
        name,
        nfe=nfe,
        methods=methods,
        samplers=samplers,
        backbones=backbones,
        store=store,
        **{
            "evaluation.samples": samples,
            "evaluation.seeds": seeds,
            "teacher.trajectories": trajectories,
        },
    )
    cost = plan_cost(make_plan(config), Place(resolve(config=config.places).store), rate)
    if simulate:
        from flows.pipeline.simulate import SIZES, simulated_rows

        rows = simulated_rows(config, SIZES)
    if json_:
        print(json.dumps(cost_record(cost) | ({"simulated": rows} if simulate else {}), indent=2))
        return 0
    for line in cost_lines(cost):
        console.print(line, highlight=False, soft_wrap=True)
    if simulate:
        from flows.pipeline.simulate import simulated_table

        console.print(simulated_table(rows))
    return 0


@app.command
def study(
    name: Annotated[str | None, Parameter(help="a ready study, or a .yaml file")] = None,
    *,
    list_: Annotated[bool, Parameter(name="--list", negative="", help="show the ready studies")] = False,
    samples: Whole | None = None,
    seeds: Whole | None = None,
    trajectories: Whole | None = None,
    store: Store = None,
    workers: Whole | None = None,
) -> int:
    """Answer a question about methods: one table, one figure, one sentence computed from the numbers.

    Nothing is registered. Run it again to resume, or to see it again.

    Parameters
    ----------
    samples: sequences a seed that are measured.
    seeds: seeds, for learning and for sampling.
    trajectories: the teacher's, for variants that do not ask for a number of their own.
    workers: Ray workers; as many as fit if left out.
    """
    from flows.settings import resolve
    from flows.study.config import load_study, study_names

    if list_:
        for ready in study_names():
            console.print(f"[bold]{ready:<16}[/]{escape(load_study(ready).question)}", highlight=False)
        return 0
    if name is None:
        raise InputError("study", f"be one of {', '.join(study_names())}", name, "or name a .yaml file")
    config = load_study(
        name,
        store=store,
        workers=workers,
        **{
            "evaluation.samples": samples,
            "evaluation.seeds": seeds,
            "teacher.trajectories": trajectories,
        },
    )
    settings = resolve(config={"store": config.store, "ray_address": config.ray_address})
    settings.apply()  # before Ray is imported
    from flows.study.run import run_study

    return run_study(config, settings, console)


@app.command
def train(
    name: Annotated[
        str, Parameter(help="countdown, text, digits, a judge, or a file with one sequence a line")
    ],
    *,
    family: str | None = None,
    split: Literal["characters", "spaces"] = "characters",
    length: Whole | None = None,
    steps: Whole | None = None,
    batch: Whole | None = None,
    dim: Whole | None = None,
    blocks: Whole | None = None,
    lr: float | None = None,
    body_dtype: Literal["float32", "bfloat16"] | None = None,
    seed: Whole = 0,
    init: Path | None = None,
    out: Path | None = None,
) -> int:
    """Train a small backbone; resumes from its checkpoint if there is one.

    A file may hold anything that is a sequence: molecules as SMILES, proteins, moves, words. Empty lines are
    skipped, short ones padded, and one in twenty is held out to see what was learned by heart. The judges are
    text-judge and digits-judge.

    Parameters
    ----------
    family:
        `radd` (time-free x0 law) or `sedd` (time-conditioned log-scores); of digits, the noise: `gaussian` or
        `uniform`.
    split:
        what a token of the file is: each of the `characters`, or what stands between `spaces`.
    length:
        positions a sequence; of a file, those of its longest line, 256 at most.
    steps:
        optimiser steps.
    batch:
        sequences a step.
    dim:
        width of the network.
    blocks:
        blocks of the network.
    lr:
        peak learning rate.
    body_dtype:
        precision of a transformer's body, in training and afterwards; float32 if left out.
    seed:
        root of everything random.
    init:
        weights to start from, of the same tokens and sizes; a `sedd` network may start from a `radd` one.
    out:
        where the weights go; NAME-FAMILY-LENGTH.safetensors if left out.
    """
    from flows.training import JUDGES, train_backbone, train_named_judge

    if name in JUDGES:
        train_named_judge(name, out, console, steps=steps, seed=seed)
        return 0
    train_backbone(
        name,
        out,
        console,
        family=family,
        split=split,
        length=length,
        steps=steps,
        batch=batch,
        dim=dim,
        num_blocks=blocks,
        lr=lr,
        body_dtype=body_dtype,
        seed=seed,
        init=init,
    )
    return 0
