"""The driver's own work on a simulated grid, stage by stage, each with its processor time and its peak of memory."""

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

from flows.bench import simulated
from flows.bench.memory import forget_peak, peak_so_far
from flows.pipeline.cell_work import cell_piece, write_card
from flows.pipeline.driver import Driver, fill_cells
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import LogProgress
from flows.pipeline.register_cards import decide_aliases, rows_of
from flows.pipeline.run import Run
from flows.pipeline.scheduler import Piece, Scheduler
from flows.pipeline.site import Site
from flows.report import run_report
from flows.report.html_page import html, numbers
from flows.report.page_data import make_page_data
from flows.settings import Settings
from lsd_core.candidates.results import Results
from lsd_core.candidates.teacher import generate_shard, teacher_spec
from lsd_core.numerics.allocator import return_freed_memory
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import committed, publish_manifest
from lsd_core.trajectories.read import published_shards, stream_shards
from workers.jobs import Job
from workers.pool import Outcome, Source

SHARD_ROWS = 1000
T = TypeVar("T")


def _in_use() -> int:
    """Bytes of memory that this process uses, without what it has freed and would use first."""
    gc.collect()
    return_freed_memory()
    return forget_peak()


@dataclass
class Stages:
    """What each stage took: seconds of processor time, and the peak of memory in bytes beside what was there before."""

    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    before: int = field(default_factory=_in_use)

    def take(self, name: str, work: Callable[[], T]) -> T:
        """What `work` returns."""
        forget_peak()
        begin = process_time()
        found = work()
        self.seconds[name] = process_time() - begin
        self.peaks[name] = peak_so_far() - self.before
        return found


def of_cells(folder: Path, cells: int) -> Stages:
    """What a driver does for the grid that was filled in a folder, from its plan to its report."""
    done, url = Stages(), str(folder)
    plan = done.take("plan", lambda: make_plan(simulated.config_of(cells), Store(url), simulated.load))
    done.take("write cards", lambda: [write_card(Results(Store(url), spec)) for spec in plan.candidates])
    done.take("list the store", lambda: Store(url).list("cells"))
    done.take("schedule jobs", lambda: schedule(plan, Store(url), 4))
    run = done.take("find what is there", lambda: found(plan, folder))
    outcome = done.take("decide aliases", lambda: decided(run))
    done.take("write the report", lambda: run_report.write_report(run, outcome))
    done.take("make pages", lambda: _pages(run, outcome))
    return done


def of_workers(folder: Path, cells: int, workers: int) -> tuple[int, float]:
    """The jobs of a grid that was filled and has its cards, and the driver's seconds to schedule them on so many."""
    plan = make_plan(simulated.config_of(cells), Store(str(folder)), simulated.load)
    begin = process_time()
    jobs = schedule(plan, Store(str(folder)), workers)
    return jobs, process_time() - begin


def of_trajectories(folder: Path, trajectories: int) -> Stages:
    """What workers and a driver do with a teacher's shards, and a reader that streams them."""
    backbone = simulated.load("sim-00000")
    method = {"method": "exact", "steps": None, "seed": 0}
    teacher = teacher_spec(backbone, batch=SHARD_ROWS, shard_rows=SHARD_ROWS, **method)  # type: ignore[arg-type]
    paths = generate_shard(backbone, teacher, 0)
    done, store, number = Stages(), simulated.Unsynced(str(folder)), teacher.num_shards(trajectories)
    done.take("encode shards", lambda: simulated.write_shards(store, teacher, paths, number))
    found = done.take("find shards", lambda: committed(store, teacher, range(number)))
    done.take("publish them", lambda: publish_manifest(store, teacher, found.values()))
    read = done.take(
        "stream them",
        lambda: sum(map(len, stream_shards(store, teacher, published_shards(store, teacher, trajectories)))),
    )
    assert read == number * SHARD_ROWS
    return done


class Workers:
    """In the place of a pool: so many workers, each done with a job when all have one; results are there already."""

    def __init__(self, number: int) -> None:
        self.number, self.jobs = number, 0

    def map(self, source: Source[Job]) -> Iterator[Outcome[Job, Any]]:
        held = deque[Job]()
        while not source.closed:
            while len(held) < self.number and (job := source.take()) is not None:
                held.append(job)
            if held:
                self.jobs += 1
                yield Outcome(item=held.popleft())


def schedule(plan: Plan, store: Store, workers: int) -> int:
    """Have every job of the plan's cells done, as on a store that holds nothing but cards; the number of jobs."""
    site, pool = Site(store), Workers(workers)
    site.present.intersection_update({site.results(spec).card_key for spec in plan.candidates})
    pieces: list[Piece] = [cell_piece(site, cell, {}) for cell in plan.cells]

    @contextmanager
    def opened() -> Iterator[Any]:
        yield pool

    Scheduler(pieces, LogProgress(lambda line: None)).run(opened)
    assert not any(piece.future.result().failures for piece in pieces)
    return pool.jobs


def found(plan: Plan, folder: Path) -> Run:
    """The run of a grid that lacks nothing, so that no worker is started."""
    settings = Settings(
        home=folder / "home",
        store=str(folder),
        tracking_uri="",
        ray_address="local",
        prefect_api_url="embedded",
    )
    progress = LogProgress(lambda line: None)
    run = fill_cells(plan, Driver(settings=settings, progress=progress, publish=lambda backbones, url: None))
    assert len(run.cards) == len(plan.candidates)
    return run


def decided(run: Run) -> run_report.Outcome:
    """The verdicts on all aliases, without the registry, and the rows of all samplers."""
    groups = {backbone.name: run.plan.by_backbone[backbone.fingerprint] for backbone in run.plan.backbones}
    verdicts = {name: decide_aliases(run, specs)[0] for name, specs in groups.items()}
    rows = [row for name, specs in groups.items() for row in rows_of(run, specs, verdicts[name])]
    return run_report.Outcome(rows=rows, verdicts=verdicts, failures={})


def _pages(run: Run, outcome: run_report.Outcome) -> None:
    """Every backbone's page and its numbers, without the picture beside them."""
    for backbone in run.plan.backbones:
        specs = run.plan.by_backbone[backbone.fingerprint]
        data = make_page_data(run.store, specs, verdicts=outcome.verdicts[backbone.name])
        html(data, samples=False)
        numbers(data)
