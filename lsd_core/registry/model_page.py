"""Texts that MLflow's screens show of a backbone: its registered model with the champions, and its experiment.

Markdown, written whenever an alias moves. What a person added below the closing line stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lsd_core.numerics.markdown import code, escaped
from lsd_core.numerics.number_text import entropy_text, estimate_text, short

NOTE = (
    "mlflow.note.content"  # the tag that MLflow shows as the description of a run, logged model or experiment
)
OVER_NFE = "over_nfe"
"""Tag `kind` of the runs whose step axis is the budget."""
ABOUT = "Few-step samplers for the frozen backbone"
END = "*Written at each promotion. Text below this line stays.*"
BUDGET_ROWS = ("alias", "version", "calls", "base sampler", "method")


def about_model(name: str, family: str) -> str:
    """The first line of a registered model's description."""
    return f"{ABOUT} {code(name)} ({escaped(family)})."


def about_experiment(name: str) -> dict[str, str]:
    """Tags of the experiment: its description, and that it belongs to MLflow's screens for models, not for agents."""
    text = (
        f"Runs of the samplers of the registered model [{escaped(name)}]({_model(name)}). "
        f"A run each for a sampler (its metrics, its card; below it a run for each seed), "
        f"`report of {name}` (open the HTML file under Artifacts), "
        f'`tags.kind = "{OVER_NFE}"` (a line for each base sampler and method, the step axis being network calls) and '
        f'`tags.kind = "learning"` (curves of a table while it is learned).'
    )
    return {NOTE: text, "mlflow.experimentKind": "custom_model_development"}


def charts_of(experiment: str, metric: str) -> str:
    """Where MLflow draws the metrics over network calls, the lines with the lowest metric at their end first."""
    chosen, order = quote(f'tags.kind = "{OVER_NFE}"'), quote(f"metrics.`{metric}`")
    sort = f"orderByKey={order}&orderByAsc=true"
    return f"#/experiments/{experiment}/runs?searchFilter={chosen}&{sort}&compareRunsMode=CHART"


def model_page(name: str, description: str, rows: Sequence[Mapping[str, Any]], experiment: str) -> str:
    """The description of a registered model, from its present one and the rows of `list_versions`.

    The numbers are those of `lsd samplers`, to the same digits.
    """
    about, kept = _parts_of(name, description)
    parts = [
        about,
        _how_to_read(),
        _champions(name, rows),
        _load(name, rows),
        _more(name, rows, experiment),
        END,
    ]
    return "\n\n".join(part for part in [*parts, kept] if part) + "\n"


def _model(name: str) -> str:
    """Where MLflow shows the registered model."""
    return f"#/models/{quote(name, safe='')}"


def _parts_of(name: str, description: str) -> tuple[str, str]:
    """Our first line, and what somebody else wrote."""
    written, _, below = description.partition(END)
    if not written.startswith(ABOUT):
        return f"{ABOUT} {code(name)}.", description.strip()
    return written.partition("\n")[0], below.strip()


def _how_to_read() -> str:
    return (
        "Each version is a sampler card: a base sampler and the step table that a method chose or learned for it, at a "
        "budget of network calls (NFE). An alias names a champion: `nfe8` among all samplers of 8 calls, `nfe8-halton` "
        "among those of that base sampler. The lower the first metric the better; entropy says how diverse samples are."
    )


def _champions(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    held = sorted(((alias, row) for row in rows for alias in row["aliases"]), key=_order)
    if not held:
        return ""
    first = held[0][1]
    metrics = [escaped(first["primary_metric"] or "primary"), escaped(first["diversity_metric"] or "entropy")]
    columns = [*BUDGET_ROWS, metrics[0], f"{metrics[1]}, nat", "certificate, nat"]
    lines = [
        f"| {alias} | [{row['version']}]({_model(name)}/versions/{row['version']}) | {row['nfe']} | {row['sampler']} "
        f"| {row['method']} | {short(row['primary'])} | {entropy_text(row['entropy'])} | {_certificate(row)} |"
        for alias, row in held
    ]
    note = (
        "The page of a version has the intervals, the steps and what its certificate compares with; "
        "certificates of different references do not compare."
    )
    return "\n".join([_line(columns), "|---" * len(columns) + "|", *lines, "", note])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _order(held: tuple[str, Mapping[str, Any]]) -> tuple[int, int, str]:
    """Budgets in turn, each with its champion of all samplers first."""
    alias, row = held
    return row["nfe"], alias.count("-"), alias


def _certificate(row: Mapping[str, Any]) -> str:
    value = row["certificate"].get("value_nats")
    error = float(row["certificate"].get("standard_error") or 0.0)
    return "" if value is None else estimate_text(float(value), error)


def _load(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    aliases = sorted(
        (alias for row in rows for alias in row["aliases"]), key=lambda alias: (len(alias), alias)
    )
    if not aliases:
        return ""
    return (
        "```python\n"
        "from lsd_core import load_sampler\n"
        f'sampler = load_sampler("models:/{name}@{aliases[0]}")\n'
        "tokens = sampler.sample(num_samples=16, seed=0)\n"
        "```"
    )


def _more(name: str, rows: Sequence[Mapping[str, Any]], experiment: str) -> str:
    metric = next((row["primary_metric"] for row in rows if row["primary_metric"]), "primary")
    return (
        f"In a terminal: `lsd samplers {name}` lists the versions, `lsd pick {name} --max-nfe 8` names the best within "
        f"a budget. Here: [metrics over network calls]({charts_of(experiment, metric)}), "
        f"[all runs and reports](#/experiments/{experiment}/runs)."
    )
