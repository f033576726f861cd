"""Fields of a card in the registry: tags, params, metrics, a Markdown description; and a version read back from tags.

Plain data in and out; the registry that holds them is reached in `registry/`.
"""

import math
from collections.abc import Mapping
from typing import Any

from lsd_core.cards import Metric, SamplerCard
from lsd_core.numerics.markdown import code, escaped
from lsd_core.numerics.names import COMPONENT
from lsd_core.numerics.number_text import at_most_text, entropy_text, interval_text, short

Series = list[float | None]
CERTIFICATE = "certificate"  # tags and metrics of a certificate begin with it


def uri_of(name: str, version: int | str) -> str:
    """The URI that always means this version."""
    return f"models:/{name}/{version}"


def params_of(card: SamplerCard) -> dict[str, str]:
    """What tells the candidates of a backbone apart."""
    facts = {
        "nfe": card.nfe,
        "sampler": card.sampler,
        "method": card.method,
        "gain_on": card.table.gain_on,
    }
    return {key: str(value) for key, value in facts.items()}


def tags_of(card: SamplerCard, store_url: str | None) -> dict[str, str]:
    """Everything a list of versions shows, so that a list needs no download; what people read comes first."""
    scores = {"primary": card.primary.mean, "entropy": card.diversity.mean}
    tags = params_of(card) | {key: str(value) for key, value in scores.items() if value is not None}
    tags |= {
        "fingerprint": card.backbone.fingerprint,
        "card_sha256": card.sha256,
        "seed": str(card.seed),
        "primary_metric": card.evaluation.primary,
        "diversity_metric": card.evaluation.diversity,
        "steps_in": card.table.steps_in,
    }
    if store_url is not None:
        tags["store"] = store_url
    if card.evaluation.conditions is not None:
        tags["given"] = str(card.evaluation.conditions["digest"])[:8]
    return tags | _flat(CERTIFICATE, card.certificate or {})


def row_of(name: str, version: int, tags: Mapping[str, str], aliases: Mapping[str, int]) -> dict[str, Any]:
    """One version as plain data, from its tags and the aliases of its model.

    KeyError or ValueError for tags that are none of a card.
    """
    for key in ("sampler", "method"):
        COMPONENT.check(f"tag {key}", tags[key])
    for key in ("value_nats", "standard_error"):
        float(tags.get(f"certificate_{key}", 0))
    text = {
        key: tags.get(key)
        for key in ("sampler", "method", "gain_on", "steps_in", "primary_metric", "diversity_metric")
    }
    return {
        "uri": uri_of(name, version),
        "backbone": name,
        "version": version,
        "nfe": int(tags["nfe"]),
        **text,
        "seed": int(tags["seed"]),
        "primary": float(tags["primary"]) if "primary" in tags else None,
        "entropy": float(tags["entropy"]) if "entropy" in tags else None,
        "aliases": sorted(alias for alias, holder in aliases.items() if holder == version),
        "certificate": {
            key.removeprefix("certificate_"): value
            for key, value in tags.items()
            if key.startswith("certificate_")
        },
        "fingerprint": tags.get("fingerprint"),
        "card_sha256": tags.get("card_sha256"),
        "store": tags.get("store"),
        "given": tags.get("given"),
    }


def rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order of a list of versions: NFE, sampler, primary metric (what is not finite comes last)."""
    primary = math.inf if row["primary"] is None else row["primary"]
    return row["nfe"], row["sampler"], primary, row["version"]


def values_of(card: SamplerCard) -> dict[str, Series]:
    """Report metrics under their own name with `_low` and `_high`; those that selected under `selection/`.

    The certificate has the names of its tags.
    """
    values: dict[str, Series] = {"calls_mean": [card.calls.mean], "calls_max": [card.calls.max]}
    for name in ("value_nats", "standard_error"):
        values[f"{CERTIFICATE}_{name}"] = [(card.certificate or {}).get(name)]
    for name, metric in card.evaluation.report.items():
        values |= {name: [metric.mean], f"{name}_low": [metric.low], f"{name}_high": [metric.high]}
    return values | {f"selection/{name}": [metric.mean] for name, metric in card.evaluation.selection.items()}


def seed_values_of(card: SamplerCard, seed: int) -> dict[str, Series]:
    """The metrics of one of the card's seeds, where they were measured for each."""
    which = card.seeds.index(seed)

    def own(metrics: Mapping[str, Metric], prefix: str) -> dict[str, Series]:
        return {
            f"{prefix}{name}": [metric.per_seed[which]] for name, metric in metrics.items() if metric.per_seed
        }

    return own(card.evaluation.report, "") | own(card.evaluation.selection, "selection/")


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Nested facts as tags: {"reverse": {"nats": 1.5}} gives `certificate_reverse_nats`."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}_{key}", value)
        elif value is not None and not isinstance(value, list):
            flat[f"{prefix}_{key}"] = str(value)
    return flat


def describe(card: SamplerCard, uri: str) -> str:
    """The card as Markdown: what it is, how to use it, what it scored, its steps and its proof."""
    evaluation = card.evaluation
    scores = (
        f"{escaped(evaluation.primary)} **{_interval(card.primary)}**, "
        f"{escaped(evaluation.diversity)} {entropy_text(card.diversity.mean)} nat."
    )
    return f"# {card.title}\n\n{_budget(card)} {scores}\n\n{_details(card, uri)}"


def version_page(card: SamplerCard, uri: str) -> str:
    """The same below a title that MLflow brings; its list of versions shows the beginning of the first line."""
    return f"{_summary(card)}\n\n{_budget(card)}\n\n{_details(card, uri)}"


def run_note(card: SamplerCard, uri: str) -> str:
    """The card in a line and how to load it, for the pages of its run and of its logged model."""
    return f"{_summary(card)} Registered as {code(uri)}.\n\n{_usage(uri)}\n"


def _summary(card: SamplerCard) -> str:
    evaluation = card.evaluation
    return (
        f"{escaped(evaluation.primary)} {short(card.primary.mean)} at {card.nfe} calls: "
        f"{card.method} ({card.sampler}), "
        f"{escaped(evaluation.diversity)} {entropy_text(card.diversity.mean)} nat."
    )


def _budget(card: SamplerCard) -> str:
    return (
        f"Draws from the frozen backbone `{card.backbone.name}` in at most **{card.nfe} network calls** "
        f"(measured: mean {card.calls.mean:.4g}, maximum {card.calls.max}). "
        f"Method `{card.method}` on base sampler `{card.sampler}`."
    )


def _details(card: SamplerCard, uri: str) -> str:
    parts = [_usage(uri), _scores(card), _steps(card), _certificate(card), _origin(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(uri: str) -> str:
    return (
        "```python\n"
        "from lsd_core import load_sampler\n"
        f'sampler = load_sampler("{uri}")\n'
        "tokens = sampler.sample(num_samples=16, seed=0)\n"
        "```"
    )


def _scores(card: SamplerCard) -> str:
    evaluation = card.evaluation
    names = [evaluation.primary, evaluation.diversity]
    names += sorted((set(evaluation.report) | set(evaluation.selection)) - set(names))
    rows = [
        f"| {escaped(name)} | {_interval(evaluation.report.get(name))} | {_interval(evaluation.selection.get(name))} |"
        for name in names
    ]
    caption = (
        f"{evaluation.samples} samples for each of {len(card.seeds)} seeds, judged by {code(evaluation.judge)}; "
        f"ships seed {card.seed}, the median one. The selection seeds chose, the report seeds are fresh."
    )
    return "\n".join(["| metric | report | selection |", "|---|---|---|", *rows, "", caption])


def _steps(card: SamplerCard) -> str:
    table = card.table
    unit = "time" if table.counts is None else "masked tokens"
    nodes = table.grid
    rows = [
        f"| {k + 1} | {nodes[k]:.4g} to {nodes[k + 1]:.4g} | {gain:.4g} |"
        for k, gain in enumerate(table.gains)
    ]
    return "\n".join([f"| step | {unit} | gain on {table.gain_on} |", "|---|---|---|", *rows])


def _certificate(card: SamplerCard) -> str:
    if card.certificate is None:
        return ""
    facts = {
        name: short(value) if isinstance(value, float) else value for name, value in card.certificate.items()
    }
    lines = ["Certificate:", "", *(f"- {name}: {escaped(value)}" for name, value in facts.items())]
    value, error = card.certificate.get("value_nats"), card.certificate.get("standard_error")
    if value is not None and error is not None:
        proved = at_most_text(value, error, card.certificate.get("num_paths") or 0)
        lines.append(f"- proved, the value with two standard errors: {proved}")
    return "\n".join(lines)


def _origin(card: SamplerCard) -> str:
    teacher = f"teacher `{card.teacher_hash}`, " if card.teacher_hash else ""
    return f"{teacher}fingerprint `{card.backbone.fingerprint}`, card sha256 `{card.sha256}`"


def _interval(metric: Metric | None) -> str:
    return "" if metric is None else interval_text(metric.mean, metric.low, metric.high)
