"""Cells one at a time: what a grid splits into, and how one is filled by a process of its own.

A cell needs no registry: it leaves its cards on the store, where `lsd grid` finds them done and promotes, or
`lsd register` files them. Run as
`python -m flows.pipeline.cell_jobs JSON`, which is what `lsd submit` has a Ray cluster do.
"""

import logging
import sys
from dataclasses import dataclass

from flows.config import GridConfig, parse_grid
from flows.pipeline import cell_work as phases
from flows.pipeline import register_cards as filing
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import LogProgress, Progress
from flows.pipeline.run import Run
from flows.pipeline.teacher_work import generate_teacher
from flows.settings import Settings, resolve
from lsd_core.backbones.publish import publish
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.store import Store
from workers.session import ray_session


@dataclass(frozen=True)
class Cell:
    """A backbone, an NFE and a base sampler, with the samplers that share its law and hence its work."""

    key: str
    """A function of everything that its cards depend on, and of the store: names the job that fills it."""
    label: str
    config: GridConfig
    """The grid that consists of this cell."""


def cells_of(config: GridConfig, settings: Settings) -> list[Cell]:
    """The cells of a grid, the ones with equal laws together; bad input ends here."""
    plan = make_plan(config, Store(settings.store))
    names = dict(zip((backbone.name for backbone in plan.backbones), config.backbones, strict=True))
    groups: dict[tuple[str, int, str], set[str]] = {}
    own = set(config.samplers)
    for spec in plan.candidates:
        if spec.sampler in own:
            law = spec.work.sampler
            groups.setdefault((spec.backbone.name, spec.nfe, law), set()).add(spec.sampler)
    cells, begun = list[Cell](), set[tuple[str, int]]()
    for (backbone, nfe, _), samplers in groups.items():
        ordered = [sampler for sampler in config.samplers if sampler in samplers]
        filled = (s for s in plan.candidates if (s.backbone.name, s.nfe) == (backbone, nfe))
        first = (backbone, nfe) not in begun  # what brings its own sampler belongs to the budget's first cell
        begun.add((backbone, nfe))
        methods = [s.method for s in filled if s.sampler in samplers or (first and s.sampler not in own)]
        alone = config.model_copy(
            update={
                "backbones": [names[backbone]],
                "nfe": [nfe],
                "samplers": ordered,
                "methods": list(dict.fromkeys(methods)),
                "store": settings.store,
                "tracking_uri": None,
                "ray_address": None,
            }
        )
        keys = sorted(spec.key for spec in make_plan(alone, Store(settings.store)).candidates)
        key = f"lsd-{backbone}-nfe{nfe}-{ordered[0]}-{digest([keys, settings.store])[:16]}"
        cells.append(Cell(key, f"{backbone} nfe{nfe} {'+'.join(ordered)}", alone))
    return cells


def fill(run: Run) -> None:
    """Learn, measure and certify all candidates that have no card yet, on one pool of workers."""
    todo = [spec for spec in run.plan.candidates if spec.key not in run.cards]
    run.count("cells", reused=len(run.plan.candidates) - len(todo), made=len(todo))
    if not todo and not phases.untested(run):
        return
    with phases.candidate_pool(run) as pool:
        phases.measure_teachers(run, pool)
        phases.distill(run, pool)
        phases.measure_selection(run, pool)
        phases.measure_report(run, pool)
        phases.certify_tables(run, pool)
    with run.ledger.stage("write cards"):
        filing.write_cards(run)


def run_cells(config: GridConfig, settings: Settings, progress: Progress) -> Run:
    """Fill what has no card yet; where all have one, nothing is started."""
    store = Store(settings.store)
    store.check()
    plan: Plan = make_plan(config, store)
    run = Run(plan, settings, progress)
    filing.read_cards(run)
    if len(run.cards) == len(plan.candidates) and not phases.untested(run):
        run.count("cells", reused=len(run.cards))
        return run
    for backbone in plan.backbones:
        publish(backbone, store)
    with ray_session(settings.ray_address, num_cpus=config.workers):
        for teacher in plan.teachers if plan.needs_teacher else ():
            generate_teacher(run, teacher)
        fill(run)
    return run


def main(arguments: list[str]) -> int:
    """Fill the cells of a grid given as JSON, with lines on the standard output: exit 0, 1 or 2 as `lsd grid`."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("lsd").setLevel(logging.INFO)
    try:
        config = parse_grid(parse_json(arguments[0], "grid"))
        settings = resolve(config=config.places)
        run = run_cells(config, settings, LogProgress(logging.getLogger("lsd").info))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for reason in run.failures.values():
        print(f"failed: {reason}", file=sys.stderr)
    print(f"cells: {run.reused.get('cells', 0)} reused, {run.made.get('cells', 0)} made")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
