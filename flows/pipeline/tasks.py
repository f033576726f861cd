"""The flow's tasks: thin and coarse. A task run for each teacher and each cell is green or red as its work ends."""

from collections.abc import Sequence
from concurrent.futures import Future

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from flows.pipeline import driver, register_cards
from flows.pipeline.cell_work import Filled
from flows.pipeline.progress import Progress
from flows.pipeline.retries import PATIENT
from flows.pipeline.run import Run
from flows.pipeline.scheduler import Piece
from flows.pipeline.site import WorkFailed
from flows.report.publish import Page, report_run
from flows.report.run_report import Outcome
from flows.settings import Settings
from lsd_core.backbones.protocol import AnyBackbone


@task(cache_policy=NO_CACHE, task_run_name="check places", **PATIENT)
def check_places(settings: Settings, with_registry: bool = True) -> None:
    """See that the store and the registry answer; a server that restarts is waited for."""
    driver.check_places(settings, with_registry=with_registry)


@task(cache_policy=NO_CACHE, task_run_name="publish backbones", **PATIENT)
def publish_backbones(backbones: Sequence[AnyBackbone], store_url: str) -> None:
    """Put the frozen weights on the store, where workers fetch them."""
    driver.publish_all(backbones, store_url)


@task(cache_policy=NO_CACHE, task_run_name="{name}")
def teacher(name: str, done: "Future[None]") -> None:
    """A teacher's trajectories, whose jobs the flow's scheduler hands to the pool."""
    done.result()


@task(cache_policy=NO_CACHE, task_run_name="{name}")
def cell(name: str, done: "Future[Filled]") -> list[str]:
    """A cell, whose jobs the flow's scheduler hands to the pool: keys of its cards, or why candidates have none."""
    filled = done.result()
    if filled.failures:
        raise WorkFailed(filled.reason)
    return sorted(filled.cards)


@task(cache_policy=NO_CACHE, task_run_name="register", **PATIENT)
def register(run: Run, progress: Progress) -> dict[str, str]:
    """Put every card into the registry, once; their URIs by key of the candidate."""
    return register_cards.register_cards(run, progress)


@task(cache_policy=NO_CACHE, task_run_name="promote", **PATIENT)
def promote(run: Run) -> Outcome:
    """Move the aliases to the champions."""
    return register_cards.promote_champions(run)


@task(cache_policy=NO_CACHE, task_run_name="report", **PATIENT)
def report(run: Run, outcome: Outcome) -> list[Page]:
    """Write a page for each backbone and log it to the registry."""
    return report_run(run, outcome)


class TaskRuns:
    """Task runs of pieces of work: each begins with its piece and ends as it does."""

    def __init__(self) -> None:
        self._begun: list[PrefectFuture[object]] = []

    def begin(self, piece: Piece) -> None:
        """Open the task run of a piece."""
        of = teacher if piece.kind == "teacher" else cell
        self._begun.append(of.submit(piece.name, piece.future))  # type: ignore[arg-type]

    def wait(self) -> None:
        """Wait until Prefect knows how each ended."""
        for begun in self._begun:
            begun.wait()
