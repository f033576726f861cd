"""Single cells: the split of a grid into its cells, and the process that computes one of them.

A cell needs no registry: it leaves its cards on the store, where `lsd grid` finds them done and promotes, or
`lsd register` files them. Run as
`python -m flows.pipeline.cell_jobs JSON`, which is what `lsd submit` has a Ray cluster do.
"""

import logging
import sys
from dataclasses import dataclass

from flows.config import ConditionsConfig, GridConfig, parse_grid
from flows.pipeline.conditions import Planned, publish_conditions
from flows.pipeline.driver import Driver, fill_cells, prepare
from flows.pipeline.plan import make_plan
from flows.pipeline.progress import LogProgress
from flows.settings import Settings, resolve
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.store import Store


@dataclass(frozen=True)
class CellJob:
    """A cell as a grid of its own."""

    key: str
    """A function of everything that its cards depend on, and of the store: names the job that fills it."""
    label: str
    config: GridConfig
    """The grid that consists of this cell."""


def cells_of(config: GridConfig, settings: Settings) -> list[CellJob]:
    """The cells of a grid, the ones with equal kernels together; bad input ends here."""
    plan = make_plan(config, Store(settings.store))
    names = dict(zip((backbone.name for backbone in plan.backbones), config.backbones, strict=True))
    sources = dict(zip(names, plan.conditions, strict=True))
    publish_conditions(plan.conditions, Store(settings.store))  # a job has no local file
    jobs = list[CellJob]()
    for cell in plan.cells:
        alone = config.model_copy(
            update={
                "backbones": [names[cell.backbone]],
                "conditions": _on_store(config.conditions, sources[cell.backbone]),
                "nfe": [cell.nfe],
                "samplers": list(cell.samplers),
                "methods": list(dict.fromkeys(spec.method for spec in cell.specs)),
                "store": settings.store,
                "tracking_uri": None,
                "ray_address": None,
            }
        )
        keys = sorted(spec.key for spec in cell.specs)
        key = f"lsd-{cell.backbone}-nfe{cell.nfe}-{cell.samplers[0]}-{digest([keys, settings.store])[:16]}"
        jobs.append(CellJob(key, cell.label, alone))
    return jobs


def _on_store(section: ConditionsConfig | None, planned: Planned | None) -> ConditionsConfig | None:
    """The same conditions, their templates named by the digest under which the store has them."""
    if section is None or planned is None:
        return section
    return section.model_copy(update={"source": planned.whole.digest})


def main(arguments: list[str]) -> int:
    """Fill the cells of a grid given as JSON, with lines on the standard output: exit 0, 1 or 2 as `lsd grid`."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("lsd").setLevel(logging.INFO)
    try:
        config = parse_grid(parse_json(arguments[0], "grid"))
        settings = resolve(config=config.places)
        progress = LogProgress(logging.getLogger("lsd").info)
        driver = Driver(
            settings=settings, progress=progress, workers=config.workers, num_gpus=config.num_gpus
        )
        run = fill_cells(prepare(config, settings, with_registry=False), driver, check_teachers=False)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for reason in run.failures.values():
        print(f"failed: {reason}", file=sys.stderr)
    print(f"cells: {run.counts.reused.get('cells', 0)} reused, {run.counts.made.get('cells', 0)} made")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
