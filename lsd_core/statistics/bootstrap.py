"""Percentile bootstrap of means, samples resampled within each seed: the one that every interval and bound is from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

CONFIDENCE = 0.95
RESAMPLES = 4000
BLOCK = 1 << 22  # picks at a time: 64 MB


def bootstrap_upper(
    difference: Float[np.ndarray, "b n"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> float:
    """Upper end of the one-sided percentile interval of the mean over seeds (rows) and samples (columns)."""
    return bootstrap_uppers([difference], seed=seed, resamples=resamples, confidence=confidence)[0]


def bootstrap_uppers(
    differences: Sequence[Float[np.ndarray, "_ _"]],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> list[float]:
    """`bootstrap_upper` of each; those of one shape share their resamples, which are drawn once.

    Deterministic: the same seed gives the same resamples, whatever is compared, so bounds are comparable.
    """
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, difference in enumerate(differences):
        shapes.setdefault(difference.shape, []).append(number)
    uppers = [0.0] * len(differences)
    for numbers in shapes.values():
        stacked = np.stack([differences[number] for number in numbers], axis=1)
        gens = [np.random.Generator(np.random.Philox(key=seed))] * len(stacked)
        means = resampled_means(list(stacked), gens, resamples)
        for number, values in zip(numbers, means, strict=True):
            uppers[number] = float(np.quantile(values, confidence, method="higher"))
    return uppers


def resampled_means(
    groups: Sequence[Float[np.ndarray, "*_ _"]], gens: Sequence[np.random.Generator], resamples: int
) -> Float[np.ndarray, "*_ _"]:
    """Mean over the groups of the mean of each resample, a group's samples resampled within it.

    A group is one list of values or k of them, which share their resamples. Each has a generator, or all have one; a
    generator gives the same picks however many are drawn at a time.
    """
    means = np.zeros((*groups[0].shape[:-1], resamples))
    rows = max(1, BLOCK // max(group.shape[-1] for group in groups))
    for start in range(0, resamples, rows):
        block = slice(start, min(start + rows, resamples))
        for group, gen in zip(groups, gens, strict=True):
            samples = group.shape[-1]
            picks = gen.integers(0, samples, size=(block.stop - block.start, samples))
            if group.ndim == 1:
                means[block] += group[picks].mean(axis=1) / len(groups)
            else:
                means[:, block] += group @ _times(picks).T
    return means if groups[0].ndim == 1 else means / (groups[0].shape[-1] * len(groups))


def _times(picks: Int[np.ndarray, "r n"]) -> Float[np.ndarray, "r n"]:
    """How often each sample is in a resample: many means of the same picks are then one product."""
    size, samples = picks.shape
    offset = samples * np.arange(size)[:, None]
    times = np.bincount((picks + offset).ravel(), minlength=size * samples)
    return times.reshape(size, samples).astype(np.float64)
