"""Paths in groups, each stopped at a random time of its own stratum: time integrals at a small variance."""

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.certificates.certificate import Certificate
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.state import Draws

NUM_TIMES = 8  # strata of the time integrals
REPEATS = 8  # independent repeats of all strata, for the standard error


def strata(num_paths: int, seed: int) -> list[tuple[int, Draws]]:
    """The paths in groups, one for each stratum of time in each repeat."""
    size = -(-num_paths // (NUM_TIMES * REPEATS))
    groups = range(NUM_TIMES * REPEATS)
    return [(k % NUM_TIMES, Draws(seed, torch.arange(k * size, (k + 1) * size))) for k in groups]


def time_in(stratum: int, draws: Draws, delta: float) -> float:
    """A time in the stratum of [delta, 1], the same for its whole group."""
    first, zero = draws.trajectory[:1], torch.zeros(1, dtype=torch.long)
    jitter = float(uniforms(draws.seed, first, 0, zero, Purpose.TIME))
    return delta + (1 - delta) * (stratum + jitter) / NUM_TIMES


def mean_of(kind: str, reference: str, values: Float[Tensor, " b"], sequences: int) -> Certificate:
    """The mean over all paths, its standard error from the repeats."""
    repeats = values.view(REPEATS, -1).mean(1)
    return Certificate.of(kind, "KL(sampler || reference)", reference, repeats, sequences, len(values))
