"""The flow's tasks: thin and coarse. A task run for each teacher and each cell is green or red as its work ends."""

from concurrent.futures import Future
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from flows.pipeline import driver
from flows.pipeline.cell_work import Filled
from flows.pipeline.register_cards import promote_champions, register_cards
from flows.pipeline.retries import PATIENT
from flows.pipeline.scheduler import Piece
from flows.pipeline.site import WorkFailed
from flows.report.publish import report_run

STEP: dict[str, Any] = {"cache_policy": NO_CACHE, **PATIENT}


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


# What talks to servers; one that restarts is waited for.
check_places = task(task_run_name="check places", **STEP)(driver.check_places)
publish_backbones = task(task_run_name="publish backbones", **STEP)(driver.publish_backbones)
register = task(task_run_name="register", **STEP)(register_cards)
promote = task(task_run_name="promote", **STEP)(promote_champions)
report = task(task_run_name="report", **STEP)(report_run)


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
