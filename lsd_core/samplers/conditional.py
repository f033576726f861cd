"""Given tokens: a prefix, or any positions, that every chain keeps while it draws the rest.

On the absorbing process conditioning needs no new kernel. A chain that has unmasked some tokens and not the
others is in a state like any other; started there, the exact chain draws the rest from the conditional
distribution of the network (Bayes' rule, where the network is consistent). What changes is the budget: a table's counts
are shares of what is masked, and here less is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.backbones.wrapped import Wrapped
from lsd_core.errors import InputError
from lsd_core.samplers.table import StepTable


def template(backbone: Backbone, tokens: Sequence[Any], field: str = "prompt") -> Int[Tensor, " l"]:
    """The state (l,) that chains start from: the tokens given, the mask where there is None and after their end."""
    if len(tokens) > backbone.length:
        raise InputError(field, f"have at most {backbone.length} tokens, the length", len(tokens))
    given = torch.full((backbone.length,), backbone.process.mask)
    for position, token in enumerate(tokens):
        if token is None:
            continue
        if (
            isinstance(token, bool)
            or not isinstance(token, int)
            or not 0 <= token < backbone.process.num_tokens
        ):
            raise InputError(f"{field}[{position}]", f"lie in 0..{backbone.process.num_tokens - 1}", token)
        given[position] = token
    return given


def check_template(backbone: Backbone, given: Int[Tensor, "*n l"]) -> None:
    """Raise InputError unless these are `length` states of the backbone's process, or several times so many."""
    if given.shape[-1:] != (backbone.length,) or given.ndim > 2:
        raise InputError("given", f"have shape ({backbone.length},)", tuple(given.shape))
    if int(given.min()) < 0 or int(given.max()) > backbone.process.mask:
        rule = f"lie in 0..{backbone.process.num_tokens - 1}, or be {backbone.process.mask} where free"
        raise InputError("given", rule, f"values from {int(given.min())} to {int(given.max())}")


def rescaled(table: StepTable, num_free: int) -> StepTable:
    """The table for `num_free` masked tokens: the same shares of them, steps that would unmask none dropped.

    Times are left as they are: a chance to be unmasked does not depend on how many tokens are masked.
    """
    if table.counts is None or num_free == table.counts[0]:
        return table
    counts, kept = [num_free], list[int]()
    for step, count in enumerate(table.counts[1:]):
        scaled = scaled_count(count, table.counts[0], num_free)
        if scaled < counts[-1]:
            counts.append(scaled)
            kept.append(step)
    gains, thresholds = table.gains, table.thresholds
    return replace(
        table,
        counts=tuple(counts),
        gains=tuple(gains[step] for step in kept),
        thresholds=None if thresholds is None else tuple(thresholds[step] for step in kept),
    )


def scaled_count(count: int, length: int, num_free: int) -> int:
    """The same share of `num_free` positions as `count` is of `length`, to the nearest whole number."""
    return round(num_free * count / length)


class Conditioned(Wrapped):
    """A backbone conditioned on given tokens: its time input is the one at which so many tokens are masked.

    A time-conditioned network learned t together with the number of masked tokens, t ~ Beta(n, l + 1 - n). A
    chain that starts with half of its tokens given has at t = 1 a state that belongs to t = 1/2; so the
    network is given n / (l + 1), n the tokens that are masked.
    """

    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l d"]:
        """One network call; `t` is replaced."""
        masked = (x == self.process.mask).sum(dim=1).double()
        time = torch.where(masked == self.length, 1.0, masked / (self.length + 1))
        return self.inner.features(x, time)
