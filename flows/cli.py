"""The command line: `lsd grid`, `study`, `train`, `samplers`, `sample`, `register`, and the care of the store.

Wrong input ends with one line and exit code 2, before any work; a grid in which a cell failed with 1.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console
from rich.markup import escape

from lsd_core.errors import InputError

app = App(
    name="lsd",
    help="Learn few-step samplers for frozen discrete diffusion models, measure them honestly, and use them.",
    version_flags=["--version"],
)
console = Console()
complaints = Console(stderr=True, soft_wrap=True)

Store = Annotated[str | None, Parameter(help="folder or URL; else LSD_STORE, else ./lsd-data/store")]
Registry = Annotated[
    str | None,
    Parameter(name="--registry", help="MLflow; else LSD_TRACKING_URI, MLFLOW_TRACKING_URI, else ./lsd-data"),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="print JSON for a program")]
Listed = Parameter(consume_multiple=True, negative="")


def _whole(kind: Any, tokens: Any) -> int:
    """An integer as it was typed: 2.5 is not 2."""
    text = tokens[0].value
    if not text.lstrip("+-").isdigit():
        raise ValueError(f"must be an integer, got {text}")
    return int(text)


def _wholes(kind: Any, tokens: Any) -> list[int]:
    return [_whole(int, [token]) for token in tokens]


Whole = Annotated[int, Parameter(converter=_whole)]
Wholes = Annotated[list[int] | None, Parameter(converter=_wholes, consume_multiple=True, negative="")]
care = Group("Care of the store and the registry")


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
    store: Store = None,
    registry: Registry = None,
    workers: Whole | None = None,
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
        names, or .safetensors files.
    samples:
        sequences a seed that are reported.
    seeds:
        seeds, for learning and for sampling.
    workers:
        Ray workers; as many as fit if left out.
    """
    from flows.config import load_grid
    from flows.embedded import run_embedded
    from lsd_core.distillation.methods import method_names

    if methods == ["all"]:
        methods = method_names()
    config = load_grid(
        name,
        nfe=nfe,
        methods=methods,
        samplers=samplers,
        backbones=backbones,
        store=store,
        tracking_uri=registry,
        workers=workers,
        **{"evaluation.samples": samples, "evaluation.seeds": seeds},
    )
    return run_embedded(config, console)


@app.command
def plan(name: str = "countdown", *, json_: Json = False) -> int:
    """Show what a grid would do, without doing it."""
    from flows.config import load_grid
    from flows.plan import make_plan, plan_record

    record = plan_record(make_plan(load_grid(name)))
    if json_:
        print(json.dumps(record, indent=2))
    else:
        for key, value in record.items():
            console.print(f"{key}: {value}", highlight=False)
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
    from flows.study.run import run_study

    return run_study(config, console)


@app.command
def train(
    name: Annotated[str, Parameter(help="what to train on: countdown")],
    *,
    family: str = "radd",
    length: Whole = 64,
    steps: Whole = 10_000,
    batch: Whole = 64,
    lr: float = 3e-3,
    seed: Whole = 0,
    init: Path | None = None,
    out: Path | None = None,
) -> int:
    """Train a small backbone; resumes from its checkpoint if there is one.

    Parameters
    ----------
    family:
        `sedd` (time-conditioned log-scores) or `radd` (time-free x0 law).
    length:
        positions a sequence.
    steps:
        optimiser steps.
    batch:
        sequences a step.
    lr:
        peak learning rate.
    seed:
        root of everything random.
    init:
        weights to start from, of the same family.
    out:
        where the weights go; NAME-FAMILY-LENGTH.safetensors if left out.
    """
    from flows.training import train_backbone

    path = out or Path(f"{name}-{family}-{length}.safetensors")
    train_backbone(
        name,
        path,
        console,
        family=family,
        length=length,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        init=init,
    )
    console.print(f"Next: lsd grid countdown --backbones {path}", highlight=False)
    return 0


@app.command
def samplers(backbone: str, *, registry: Registry = None, json_: Json = False) -> int:
    """List the registered samplers of a backbone, controls included, champions marked by their aliases."""
    from flows.listing import samplers_table
    from lsd_core.registry import list_versions

    rows = list_versions(backbone, tracking_uri=registry)
    if json_:
        print(json.dumps(rows, indent=2))
        return 0
    console.print(samplers_table(backbone, rows))
    champion = next((alias for row in rows for alias in row["aliases"]), None)
    if champion:
        console.print(f"Next: lsd sample models:/{backbone}@{champion} -n 4", highlight=False)
    return 0


@app.command
def sample(
    uri: Annotated[str, Parameter(help="models:/NAME@ALIAS, models:/NAME/VERSION, or a card's path or URL")],
    *,
    num_samples: Annotated[int, Parameter(name=["-n", "--num-samples"], converter=_whole)] = 4,
    seed: Whole = 0,
    store: Store = None,
    registry: Registry = None,
    json_: Json = False,
) -> int:
    """Draw sequences; `-n 32` begins with the same sequences as `-n 16`.

    Parameters
    ----------
    num_samples:
        how many.
    seed:
        names the endless list of sequences that these are the first of.
    """
    from lsd_core.sampler import load_sampler

    sampler = load_sampler(uri, tracking_uri=registry, store=store)
    tokens = sampler.sample(num_samples, seed=seed)
    if json_:
        print(json.dumps(tokens.tolist()))
    else:
        for row in tokens.tolist():
            print(" ".join(str(token) for token in row))
    return 0


@app.command(group=care)
def pick(
    backbone: str,
    *,
    max_nfe: Whole,
    min_entropy: float | None = None,
    registry: Registry = None,
) -> int:
    """Print the URI of the best sampler within a budget.

    Parameters
    ----------
    max_nfe:
        most network calls a sample may use.
    min_entropy:
        least unigram entropy, in nats.
    """
    from lsd_core.registry import pick as choose

    print(choose(backbone, max_nfe=max_nfe, min_entropy=min_entropy, tracking_uri=registry)["uri"])
    return 0


@app.command(group=care)
def promote(backbone: str, alias: str, version: Whole, *, registry: Registry = None) -> int:
    """Point an alias, such as nfe8, at a version."""
    from lsd_core.registry import promote as move

    previous = move(backbone, alias, version, tracking_uri=registry)
    console.print(f"{backbone}@{alias}: version {previous} -> {version}", highlight=False)
    return 0


@app.command(group=care)
def rollback(backbone: str, alias: str, *, registry: Registry = None) -> int:
    """Give an alias back to its previous holder."""
    from lsd_core.registry import rollback as undo

    console.print(
        f"{backbone}@{alias}: version {undo(backbone, alias, tracking_uri=registry)}", highlight=False
    )
    return 0


@app.command(group=care)
def register(*, store: Store = None, registry: Registry = None) -> int:
    """Rebuild the registry from the store: every card a version, every champion its alias."""
    from flows.rebuild import rebuild_registry
    from flows.settings import resolve

    settings = resolve(command_line={"store": store, "tracking_uri": registry})
    cards, aliases = rebuild_registry(settings, console)
    console.print(f"{cards} cards and {aliases} aliases in {settings.tracking_uri}", highlight=False)
    return 0


@app.command(group=care)
def verify(prefix: str = "", *, store: Store = None) -> int:
    """Check every published file against its manifest and name the bad ones; exit 1 if there are any."""
    from flows.settings import resolve
    from lsd_core.store import Store as Place
    from lsd_core.trajectories.verify import verify as check

    problems = check(Place(resolve(command_line={"store": store}).store), prefix)
    for problem in problems:
        console.print(str(problem), highlight=False)
    console.print("no bad file" if not problems else f"{len(problems)} bad: run the same `lsd grid` again")
    return 1 if problems else 0


@app.command(group=care)
def gc(*, older_than_hours: float = 24.0, store: Store = None) -> int:
    """Remove files that no manifest lists.

    Parameters
    ----------
    older_than_hours:
        younger ones may be in use by a run and stay.
    """
    from flows.settings import resolve
    from lsd_core.store import Store as Place
    from lsd_core.trajectories.verify import collect_garbage

    place = Place(resolve(command_line={"store": store}).store)
    removed = collect_garbage(place, older_than_hours * 3600)
    for key in removed:
        console.print(f"removed {key}", highlight=False)
    console.print(f"{len(removed)} files removed", highlight=False)
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    try:
        result: Any = app(arguments, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as error:
        text = " ".join(str(error).split())
        complaints.print(f"[bold red]error:[/] {escape(text)} (see lsd --help)", highlight=False)
        sys.exit(2)
    except InputError as error:
        complaints.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        complaints.print("interrupted; run the same command again to resume")
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
