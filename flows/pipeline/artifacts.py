"""Prefect artifacts of a run: the plan, the leaderboard, verdicts, charts, links."""

import base64
import re
from collections.abc import Sequence

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.context import FlowRunContext

from flows.pipeline.plan import Plan
from flows.pipeline.run import Run
from flows.report.csv_columns import record
from flows.report.publish import Page
from flows.report.run_report import Outcome, verdicts_markdown

PICTURES = {
    "quality": "primary metric against network calls",
    "tables": "what was learned: steps and gains",
}
NOT_SHOWN = ("backbone", "label", "samplers", "seed", "primary_metric", "diversity_metric")


def show_plan(plan: Plan) -> None:
    """The candidates, before any work."""
    if FlowRunContext.get() is None:
        return
    rows = [
        {"backbone": spec.backbone.name, "nfe": spec.nfe, "sampler": spec.sampler, "method": spec.method}
        for spec in plan.candidates
    ]
    create_table_artifact(rows, key="plan", description=f"{len(rows)} candidates of {plan.config.name}")


def show_outcome(run: Run, outcome: Outcome, pages: Sequence[Page]) -> None:
    """The leaderboard of each backbone, the verdicts, the pages, and where to look."""
    if FlowRunContext.get() is None:
        return
    for backbone in outcome.verdicts:
        mine = outcome.by_backbone[backbone]
        metrics = [mine[0].primary_metric, mine[0].diversity_metric]
        rows = [
            {name: value for name, value in record(row, metrics).items() if name not in NOT_SHOWN}
            for row in mine
        ]
        create_table_artifact(
            rows, key=_key(f"leaderboard-{backbone}"), description=f"samplers of {backbone}"
        )
    create_markdown_artifact(
        verdicts_markdown(outcome), key="verdicts", description="who holds each alias, and why"
    )
    for page in pages:
        create_link_artifact(
            page.link, link_text=f"report of {page.backbone}", key=_key(f"report-{page.backbone}")
        )
    for file in ("quality", "tables"):
        picture = run.settings.reports / run.plan.config.name / f"{file}.png"
        if picture.exists():
            data = base64.b64encode(picture.read_bytes()).decode()
            create_image_artifact(f"data:image/png;base64,{data}", key=file, description=PICTURES[file])
    create_markdown_artifact(places(run, outcome), key="places", description="where the results are")


def places(run: Run, outcome: Outcome) -> str:
    """Where things are, as Markdown: links where a server shows them, commands where none does."""
    uri, lines = run.settings.tracking_uri, [f"- store: `{run.settings.store}`"]
    for backbone in outcome.verdicts:
        served = uri.startswith("http")
        where = f"[{uri}]({uri.rstrip('/')}/#/models/{backbone})" if served else f"`{uri}`"
        lines.append(f"- registry of {backbone}: {where}; `lsd samplers {backbone}`")
    return "\n".join(lines) + "\n"


def _key(text: str) -> str:
    """An artifact's key may have small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower())
