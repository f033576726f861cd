"""Metrics that a grid may ask for beside its task's own: `evaluation.metrics: [self_bleu, ...]`.

They inform; what decides stays the task's. An entry is a name, or `name:argument` where one is needed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.evaluation import entropy
from lsd_core.evaluation.causal_judge import causal_nll, judge_folder, load_judge
from lsd_core.evaluation.self_bleu import self_bleu

GRAMS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One family of metrics."""

    compute: Callable[[Tensor, str], Mapping[str, float]]
    """(tokens (n, l), argument) -> values by name."""
    argument: str = ""
    """What must follow the colon; empty where nothing may."""
    check: Callable[[str], Any] = lambda argument: None
    """Raises InputError for an argument that will not do, before any work."""


def _distinct(tokens: Tensor, argument: str) -> dict[str, float]:
    return {f"distinct_{n}": entropy.distinct(tokens, n) for n in GRAMS if n <= tokens.shape[1]}


def _self_bleu(tokens: Tensor, argument: str) -> dict[str, float]:
    return {"self_bleu_4": self_bleu(tokens, min(4, tokens.shape[1]))}


def _generative_perplexity(tokens: Tensor, repository: str) -> dict[str, float]:
    """exp of the mean nats a token; `_published` is the mean of the sequences' own perplexities (SEDD's code)."""
    nll = causal_nll(load_judge(judge_folder(repository)), tokens)
    return {
        "generative_nll": float(nll.mean()),
        "generative_perplexity": float(nll.mean().exp()),
        "generative_perplexity_published": float(nll.exp().mean()),
    }


EXTRAS: dict[str, Extra] = {
    "distinct": Extra(compute=_distinct),
    "self_bleu": Extra(compute=_self_bleu),
    "generative_perplexity": Extra(
        compute=_generative_perplexity, argument="a causal language model of the hub", check=judge_folder
    ),
}


def check_extras(names: Sequence[str]) -> None:
    """Raise InputError unless every metric is known, has what it needs, and that is there."""
    for name in names:
        _find(name)[0].check(_find(name)[1])


def compute_extras(names: Sequence[str], tokens: Tensor) -> dict[str, float]:
    """The values of all metrics asked for."""
    found: dict[str, float] = {}
    for name in names:
        extra, argument = _find(name)
        found |= extra.compute(tokens, argument)
    return found


def _find(name: str) -> tuple[Extra, str]:
    kind, _, argument = name.partition(":")
    if kind not in EXTRAS:
        known = ", ".join(f"{key}:MODEL" if extra.argument else key for key, extra in EXTRAS.items())
        raise InputError("evaluation.metrics", f"be among {known}", name)
    extra = EXTRAS[kind]
    if bool(argument) != bool(extra.argument):
        rule = f"name {extra.argument} after a colon" if extra.argument else "have nothing after its name"
        raise InputError(f"evaluation.metrics: {kind}", rule, name)
    return extra, argument
