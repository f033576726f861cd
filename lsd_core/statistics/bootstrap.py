"""Percentile bootstrap of paired differences, samples resampled within each seed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

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
        means = _resampled_means(np.stack([differences[number] for number in numbers]), seed, resamples)
        for number, values in zip(numbers, means, strict=True):
            uppers[number] = float(np.quantile(values, confidence, method="higher"))
    return uppers


def _resampled_means(differences: Float[np.ndarray, "k b n"], seed: int, resamples: int) -> np.ndarray:
    """Mean of each difference in each resample, (k, resamples)."""
    num, seeds, samples = differences.shape
    gen = np.random.Generator(np.random.Philox(key=seed))
    means = np.zeros((num, resamples))
    rows = max(1, BLOCK // samples)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        offset = samples * np.arange(size)[:, None]
        for row in range(seeds):
            picks = gen.integers(0, samples, size=(size, samples))
            times = np.bincount((picks + offset).ravel(), minlength=size * samples).reshape(size, samples)
            means[:, start : start + size] += differences[:, row] @ times.T.astype(np.float64)
    return means / (samples * seeds)
