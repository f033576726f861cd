"""Scores of finished samples: the task's metrics, those that a grid asks for beside them, statistics across samples."""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.across import Across, across_samples
from lsd_core.metrics.extra import compute_extras
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.catalog import get_task


def evaluate_tokens(
    task_name: str, tokens: Int[Tensor, "n l"], backbone: AnyBackbone, seed: int, extras: Sequence[str] = ()
) -> Scores:
    """Score finished samples (n, l) of `backbone`; `seed` draws what the judges need, `extras` come on top."""
    task = get_task(task_name)
    if tokens.ndim != 2 or tokens.shape[0] < 1 or tokens.shape[1] != backbone.length:
        raise InputError("tokens", f"have shape (n >= 1, {backbone.length})", tuple(tokens.shape))
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= backbone.process.num_tokens:
        rule = f"lie in 0..{backbone.process.num_tokens - 1}, with none left masked"
        raise InputError("tokens", rule, f"values from {low} to {high}")
    scores = task.evaluate(tokens, backbone, seed)
    return (
        replace(scores, metrics={**compute_extras(extras, tokens, backbone), **scores.metrics})
        if extras
        else scores
    )


def evaluate_across(task_name: str, tokens: Int[Tensor, "n l"], num_tokens: int) -> Across:
    """Statistics across finished samples (n, l), for every task: what promotion guards beside the scores."""
    return across_samples(tokens, num_tokens, get_task(task_name).places(tokens, num_tokens))
