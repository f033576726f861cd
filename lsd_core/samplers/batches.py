"""Batches of chains: always whole, cut at multiples of their size, so a sample does not depend on how many."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.samplers.state import Draws

TOKENS_PER_BATCH = 1024  # default size of a batch: so many positions

Run = Callable[[Draws], tuple[Tensor, Tensor]]  # a batch of chains -> tokens (b, l), network calls (b,)


@dataclass(frozen=True)
class Samples:
    """Finished sequences and what each of them cost."""

    tokens: Int[Tensor, "n l"]
    calls: Int[Tensor, " n"]


def default_batch(length: int) -> int:
    """Sequences a batch: about 1024 positions, at least one sequence."""
    return max(1, TOKENS_PER_BATCH // length)


def in_batches(
    run: Run,
    num_samples: int,
    seed: int,
    *,
    batch: int,
    at_once: int = 1,
    first: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Samples `first` ... `first + num_samples - 1` of the endless list that `seed` names.

    `run` is given up to `at_once` whole batches.
    """
    if num_samples < 1:
        raise InputError("num_samples", "be an integer >= 1", num_samples)
    begin, end = first // batch * batch, first + num_samples
    whole = begin + -(-(end - begin) // batch) * batch
    parts = []
    for offset in range(begin, whole, at_once * batch):
        stop = min(offset + at_once * batch, whole)
        tokens, calls = run(Draws(seed, torch.arange(offset, stop, device=device)))
        parts.append((tokens.cpu(), calls.cpu()))
        progress(min(stop, end) - max(offset, first))
    keep = slice(first - begin, end - begin)
    return Samples(*(torch.cat(column)[keep] for column in zip(*parts, strict=True)))
