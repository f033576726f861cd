"""The flow `lsd`: trajectories, a distillation job for every cell, measurement, registration, promotion.

Deployed as `distill-grid` (prefect.yaml), or run in this process by `lsd grid`. Tasks are thin and coarse; Ray
does the work in actors that never import Prefect. Every phase asks the store what is there first, so a run
that was cut off is resumed by running it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed, State

from flows.config import GridConfig
from flows.pipeline import cell_jobs as cells
from flows.pipeline import register_cards as filing
from flows.pipeline import teacher_work as teaching
from flows.pipeline.artifacts import show_outcome, show_plan
from flows.pipeline.cell_work import untested
from flows.pipeline.live_curves import LiveCurves, hearing
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import LogProgress, Progress, current
from flows.pipeline.retries import PATIENT
from flows.pipeline.run import Run
from flows.pipeline.state_hooks import close_cancelled, close_crashed
from flows.report.publish import Page, report_run
from flows.report.run_report import Outcome, write_report
from flows.settings import Settings, resolve
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories.spec import TeacherSpec
from workers.session import ray_session


def prepare(config: GridConfig, settings: Settings) -> Plan:
    """Everything that can be wrong with the input, found before any work starts."""
    store = Store(settings.store)
    plan = make_plan(config, store)
    store.check()
    filing.check_registry(settings.tracking_uri)
    return plan


@task(cache_policy=NO_CACHE, task_run_name="check places", **PATIENT)
def check_places(settings: Settings) -> None:
    """See that the store and the registry answer; a server that restarts is waited for."""
    Store(settings.store).check()
    filing.check_registry(settings.tracking_uri)


@task(cache_policy=NO_CACHE, task_run_name="publish backbones", **PATIENT)
def publish_backbones(run: Run) -> None:
    """Put the frozen weights on the store, where workers fetch them."""
    for backbone in run.plan.backbones:
        publish(backbone, run.store)


@task(cache_policy=NO_CACHE, task_run_name="teacher {teacher.backbone}", **PATIENT)
def generate_teacher(run: Run, teacher: TeacherSpec) -> None:
    """Have the trajectories generated and their manifest published."""
    teaching.generate_teacher(run, teacher)


@task(cache_policy=NO_CACHE, task_run_name="distil and measure", **PATIENT)
def fill_cells(run: Run) -> None:
    """Learn, measure and certify all candidates that have no card yet, on one pool of workers."""
    cells.fill(run)


@task(cache_policy=NO_CACHE, task_run_name="register", **PATIENT)
def register(run: Run) -> None:
    """File every card in the registry, once."""
    filing.register_cards(run)


@task(cache_policy=NO_CACHE, task_run_name="promote", **PATIENT)
def promote(run: Run) -> Outcome:
    """Move the aliases to the champions."""
    return filing.promote_champions(run)


@task(cache_policy=NO_CACHE, task_run_name="report", **PATIENT)
def report(run: Run, outcome: Outcome) -> list[Page]:
    """Write a page for each backbone and file it."""
    return report_run(run, outcome)


@contextmanager
def working(run: Run) -> Iterator[None]:
    """Ray, and the curves of what is learned there."""
    context = FlowRunContext.get()
    flow_run = str(context.flow_run.id) if context is not None and context.flow_run is not None else ""
    settings, workers = run.settings, run.plan.config.workers
    with (
        LiveCurves(settings.tracking_uri, run.progress, flow_run) as curves,
        ray_session(settings.ray_address, num_cpus=workers, hear=hearing(run.progress, curves)),
    ):
        yield


def run_grid(plan: Plan, settings: Settings, progress: Progress) -> tuple[Run, Outcome]:
    """The phases in order; inside a flow each is a task run."""
    run = Run(plan, settings, progress)
    show_plan(run)
    publish_backbones(run)
    filing.read_cards(run)
    teachers = plan.teachers if plan.needs_teacher else ()
    unfinished = (
        len(run.cards) < len(plan.candidates)
        or any(teaching.lacks(run, spec) for spec in teachers)
        or untested(run)
    )
    with working(run) if unfinished else nullcontext():
        for spec in teachers:
            generate_teacher(run, spec)
        fill_cells(run)
    with run.ledger.stage("register"):
        register(run)
    with run.ledger.stage("promote"):
        outcome = promote(run)
    with run.ledger.stage("report"):
        write_report(run, outcome)
        show_outcome(run, outcome, report(run, outcome))
    run.ledger.write(settings.reports / plan.config.name)
    return run, outcome


@flow(
    name="lsd",
    flow_run_name="{config.name}",
    persist_result=False,
    result_serializer="json",  # nothing at rest is pickled, whatever a server's settings say
    validate_parameters=True,
    on_cancellation=[close_cancelled],
    on_crashed=[close_crashed],
)
def lsd(config: GridConfig = GridConfig()) -> State[Any]:
    """Distil samplers for every (backbone, NFE, base sampler) of a grid and file the best in the registry."""
    config = GridConfig.model_validate(config)
    settings = resolve(config=config.places)
    settings.apply()
    shown = current()
    progress = LogProgress(get_run_logger().info) if shown is None else shown.progress
    check_places(settings)
    run, outcome = run_grid(make_plan(config, Store(settings.store)), settings, progress)
    if shown is not None:
        shown.run, shown.outcome = run, outcome
    return final_state(run, outcome)


def final_state(run: Run, outcome: Outcome) -> State[Any]:
    """Completed, or Failed with the reasons of the cells that did."""
    failed = [spec for spec in run.plan.candidates if run.failed(spec)]
    if not failed:
        return Completed(message=outcome.summary)
    reasons = "; ".join(f"{spec.label}: {run.failures[spec.work.key]}" for spec in failed)
    return Failed(message=f"{len(failed)} of {len(run.plan.candidates)} candidates failed: {reasons}")
