"""The body of the flow `lsd`: trajectories, a task run for every cell, registration, promotion, report."""

from dataclasses import replace
from typing import Any

from prefect.context import FlowRunContext
from prefect.states import Completed, Failed, State

from flows.pipeline import tasks
from flows.pipeline.artifacts import show_outcome, show_plan
from flows.pipeline.driver import Driver, fill_cells
from flows.pipeline.live_curves import LiveCurves, hearing
from flows.pipeline.plan import Plan
from flows.pipeline.progress import Progress
from flows.pipeline.run import Run
from flows.report.run_report import Outcome, write_report
from flows.settings import Settings


def run_grid(plan: Plan, settings: Settings, progress: Progress) -> tuple[Run, Outcome]:
    """The phases in order, each a task run."""
    show_plan(plan)
    task_runs = tasks.TaskRuns()
    with LiveCurves(settings.tracking_uri, progress, flow_run_id()) as curves:
        driver = Driver(
            settings=settings,
            progress=progress,
            workers=plan.config.workers,
            num_gpus=plan.config.num_gpus,
            hear=hearing(progress, curves),
            publish=tasks.publish_backbones,
            begun=task_runs.begin,
        )
        run = fill_cells(plan, driver)
    task_runs.wait()
    with run.timing.stage("register"):
        run = replace(run, uris=tasks.register(run, progress))
    with run.timing.stage("promote"):
        outcome = tasks.promote(run)
    with run.timing.stage("report"):
        write_report(run, outcome)
        show_outcome(run, outcome, tasks.report(run, outcome))
    run.timing.write_stages(settings.reports / plan.config.name)
    return run, outcome


def final_state(run: Run, outcome: Outcome) -> State[Any]:
    """Completed, or Failed with the reasons of the cells that did."""
    failed = run.reasons
    if not failed:
        return Completed(message=outcome.summary)
    reasons = "; ".join(f"{label}: {reason}" for label, reason in failed.items())
    return Failed(message=f"{len(failed)} of {len(run.plan.candidates)} candidates failed: {reasons}")


def flow_run_id() -> str:
    """Of the flow that runs here, if one does."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context is not None and context.flow_run is not None else ""
