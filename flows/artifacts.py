"""What an operator sees in Prefect's UI: the plan, the leaderboard, where things are."""

import re
from collections.abc import Sequence
from dataclasses import asdict

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from flows.page.publish import Page
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


def show_outcome(run: Run, outcome: Outcome, pages: Sequence[Page]) -> None:
    """The leaderboard of each backbone, the verdicts, the pages, and where to look."""
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
    for page in pages:
        key = re.sub(r"[^a-z0-9-]+", "-", f"report-{page.backbone}".lower())
        create_link_artifact(page.link, link_text=f"report of {page.backbone}", key=key)
    places = f"- store: `{run.settings.store}`\n- registry: `{run.settings.tracking_uri}`\n"
    create_markdown_artifact(places, key="places", description="where the results are")
