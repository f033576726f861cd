"""Countdown metrics: share of transitions that break the rule, and total variation of the start values.

The rule: a nonzero token is followed by itself minus one; after a zero, as at the start, anything goes.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.errors import InputError


def violations(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, "n l-1"]:
    """Which of the l - 1 transitions break the rule."""
    if tokens.shape[1] < 2:
        raise InputError("tokens", "be at least 2 long for a transition to exist", tokens.shape[1])
    last, following = tokens[:, :-1], tokens[:, 1:]
    return (last != 0) & (following != last - 1)


def error(tokens: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
    """Share of each sequence's transitions that break the rule, in [0, 1].

    Uniformly random tokens score ((V - 1) / V)^2, 0.938 at V = 32.
    """
    return violations(tokens).double().mean(dim=1)


def error_published(tokens: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
    """The metric of Jump Your Steps (Park et al. 2024): only every second transition is looked at.

    The first transition is, the second is not, and so on; the count is still divided by all l - 1, so that
    random tokens score about 0.476. It cannot see a broken rule between the pairs.
    """
    broken = violations(tokens)
    return broken[:, ::2].double().sum(dim=1) / broken.shape[1]


def start_values(tokens: Int[Tensor, "n l"]) -> Int[Tensor, " k"]:
    """The values countdowns start with: each sequence's first token, and every token after a zero."""
    starts = torch.ones_like(tokens, dtype=torch.bool)
    starts[:, 1:] = tokens[:, :-1] == 0
    return tokens[starts]


def start_tv(tokens: Int[Tensor, "n l"], num_values: int) -> float:
    """Total variation between the pooled start values and the uniform distribution, in [0, 1).

    Its noise floor is about 0.4 sqrt(V / k) for k pooled starts.
    """
    counts = torch.bincount(start_values(tokens), minlength=num_values).double()
    return float((counts / counts.sum() - 1 / num_values).abs().sum() / 2)
