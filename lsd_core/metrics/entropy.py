"""Token entropy in nats and distinct-n; lower temperature trades them for lower error."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError


def unigram_entropy(tokens: Int[Tensor, "n l"]) -> float:
    """Entropy of the histogram of all tokens of all sequences, in [0, log V]."""
    return float(entropy_of_counts(tokens.flatten().bincount()[None])[0])


def sequence_entropy(tokens: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
    """Entropy of each sequence's own histogram, in [0, log min(l, V)]; the text papers average it."""
    n, num_values = len(tokens), int(tokens.max()) + 1
    offset = torch.arange(n, device=tokens.device)[:, None] * num_values
    counts = (tokens + offset).flatten().bincount(minlength=n * num_values).view(n, num_values)
    return entropy_of_counts(counts)


def entropy_of_counts(counts: Int[Tensor, "r v"]) -> Float[Tensor, " r"]:
    """-sum p log p of each row's shares p, with 0 log 0 = 0."""
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    return -torch.special.xlogy(share, share).sum(dim=1)


def distinct(tokens: Int[Tensor, "n l"], size: int) -> float:
    """Different n-grams of `size` tokens over all n-grams of all sequences, in (0, 1]; 1 where none repeats."""
    if not 1 <= size <= tokens.shape[1]:
        raise InputError("size", f"lie in 1..{tokens.shape[1]}, the length", size)
    grams = tokens.unfold(1, size, 1).flatten(0, 1)
    return len(grams.unique(dim=0)) / len(grams)
