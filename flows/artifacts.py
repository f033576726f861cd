"""What an operator sees in Prefect's UI: the plan, the leaderboard, where things are."""

from dataclasses import asdict

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from flows.report import Outcome, verdicts_markdown
from flows.run import Run

SHOWN = ("nfe", "sampler", "method", "primary", "low", "high", "entropy", "certificate", "aliases", "uri")


def show_plan(run: Run) -> None:
    """The candidates, before any work."""
    if FlowRunContext.get() is None:
        return
    rows = [
        {"backbone": spec.backbone.name, "nfe": spec.nfe, "sampler": spec.sampler, "method": spec.method}
        for spec in run.plan.candidates
    ]
    create_table_artifact(rows, key="plan", description=f"{len(rows)} candidates of {run.plan.config.name}")


def show_outcome(run: Run, outcome: Outcome) -> None:
    """The leaderboard of each backbone, the verdicts, and where to look."""
    if FlowRunContext.get() is None:
        return
    for backbone in outcome.verdicts:
        rows = [
            {name: value for name, value in asdict(row).items() if name in SHOWN}
            for row in outcome.rows
            if row.backbone == backbone
        ]
        create_table_artifact(rows, key=f"leaderboard-{backbone}", description=f"samplers of {backbone}")
    create_markdown_artifact(
        verdicts_markdown(outcome), key="verdicts", description="who holds each alias, and why"
    )
    places = f"- store: `{run.settings.store}`\n- registry: `{run.settings.tracking_uri}`\n"
    create_markdown_artifact(places, key="places", description="where the results are")
