"""Statistics across a set of samples: how often two of them share a window, and marginals at fixed places.

A metric of single sequences, or of their pooled tokens, cannot tell a good sampler from one good sequence drawn again
and again. Two statistics can, and neither depends on how many samples there are:

- coincidence at w: the chance that a window of w tokens drawn from one sample is found at a window drawn from
  another, w = 1, 2, 4, ... up to the length, where it is the chance that two samples are equal;
- marginals: the distribution of the token at fixed places, such as eight positions.

Both are kept sample by sample, so that the paired bootstrap that compares errors compares them too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

WINDOWS = 64  # windows of a sequence that are looked at, evenly spaced
POSITIONS = 8  # positions whose marginals are compared
BINS = 64  # a larger vocabulary is cut into so many ranges of tokens
FEWEST = 3  # samples: a jackknife of pairs leaves one out
MULTIPLIER = 6364136223846793005  # of the hash, modulo 2^64 (that of Knuth's linear congruential generator)


@dataclass(frozen=True, kw_only=True, eq=False)
class Across:
    """Statistics across the n samples of one seed."""

    coincidence: Mapping[int, Float[np.ndarray, " n"]] = field(default_factory=dict)
    """By window length: a value a sample whose mean is the chance of a coincidence, and whose variance is n times that
    of the mean (jackknife pseudo-values)."""
    places: Mapping[str, Int[np.ndarray, "n k"]] = field(default_factory=dict)
    """By name: tokens at k places of each sample."""

    def __bool__(self) -> bool:
        """Whether there were samples enough to compare."""
        return bool(self.coincidence)

    @property
    def nbytes(self) -> int:
        """Memory that its arrays take."""
        return sum(values.nbytes for values in (*self.coincidence.values(), *self.places.values()))


def across_samples(
    tokens: Int[Tensor, "n l"], num_tokens: int, places: Mapping[str, Int[Tensor, "n k"]] | None = None
) -> Across:
    """The statistics of a set of samples, `places` of the task's own beside the positions; of fewer than 3 none.

    Cost: no network call; a sort of 64 n numbers for each of log2(l) + 1 window lengths.
    """
    if len(tokens) < FEWEST:
        return Across()
    tokens = tokens.cpu().long()
    length = tokens.shape[1]
    position = torch.linspace(0, length - 1, min(POSITIONS, length)).round().long()
    named = {"position": binned(tokens[:, position], num_tokens), **(places or {})}
    return Across(
        coincidence={size: _coincidence(keys) for size, keys in _window_keys(tokens).items()},
        places={name: values.cpu().numpy() for name, values in named.items()},
    )


def binned(tokens: Int[Tensor, "n k"], num_tokens: int) -> Int[Tensor, "n k"]:
    """Tokens themselves or, of a vocabulary above BINS, the range of the vocabulary that each lies in."""
    return tokens if num_tokens <= BINS else tokens * BINS // num_tokens


def _window_keys(tokens: Int[Tensor, "n l"]) -> dict[int, Int[Tensor, "n g"]]:
    """Hashes of the windows of 1, 2, 4, ... tokens, and of whole sequences; equal windows have equal hashes.

    That of 2 w tokens at i mixes those of w tokens at i and at i + w. Of a pair of different windows the chance of
    equal ones is about 2^-64.
    """
    length = tokens.shape[1]
    keys, size, power = tokens * 2 + 1, 1, MULTIPLIER
    found = {}
    while True:
        starts = torch.linspace(0, length - size, min(WINDOWS, length - size + 1)).round().long()
        found[size] = keys[:, starts]
        following = min(2 * size, length)
        if following == size:
            return found
        shift = following - size  # the last step may overlap, so that the window is the whole sequence
        keys = keys[:, : length - following + 1] * power + keys[:, shift : length - size + 1]
        keys = keys ^ (keys >> 29)  # mixed, so that low bits depend on high ones
        power = _wrapped(power * power)
        size = following


def _wrapped(value: int) -> int:
    """A number as a signed 64-bit integer."""
    return (value + 2**63) % 2**64 - 2**63


def _coincidence(keys: Int[Tensor, "n g"]) -> Float[np.ndarray, " n"]:
    """Pseudo-values of the U-statistic sum_{i != j} a_ij / n (n - 1), a_ij the share of pairs of windows that agree.

    With h_i the mean of a_ij over j, leaving i out gives n U - (n - 1) U_{-i} = (2 (n - 1) h_i - n U) / (n - 2).
    """
    n, g = keys.shape
    _, number, counts = keys.flatten().unique(return_inverse=True, return_counts=True)
    number = number.view(n, g)
    everywhere = counts[number].sum(1)
    within = torch.zeros(n, dtype=torch.long)
    ordered = number.sort(dim=1).values
    run = torch.cat([torch.ones(n, 1, dtype=torch.bool), ordered[:, 1:] != ordered[:, :-1]], dim=1)
    _, lengths = (run.cumsum(1) + g * torch.arange(n)[:, None]).unique(return_counts=True)
    owner = torch.arange(n).repeat_interleave(run.sum(1))
    within.index_add_(0, owner, lengths * lengths)
    shared = (everywhere - within).double() / (g * g * (n - 1))
    return ((2 * (n - 1) * shared - n * shared.mean()) / (n - 2)).numpy()
