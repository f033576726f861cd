"""Means over seeds and their 95% intervals."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError
from lsd_core.metrics.scores import Scores
from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics.bootstrap import resampled_means

RESAMPLES = 2000
FEWEST_SEEDS = 3  # below it, seeds alone say too little: t at one degree of freedom is 12.7 standard errors

# Student's t at 97.5%, 1 to 10 degrees of freedom (beyond: Cornish-Fisher, right to 1e-4).
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959963985


class Summary(TypedDict):
    """A metric over the seeds; no interval where there is nothing to base one on."""

    mean: float
    low: float | None
    high: float | None
    per_seed: list[float]


def summarise(scores: Sequence[Scores], primary: str = "error") -> dict[str, Summary]:
    """Mean, 95% interval and per-seed values of every metric.

    From three seeds on, intervals are Student's t over seeds: they cover both what was learned and what was
    drawn. With one or two seeds, the primary metric's is a bootstrap over the samples of these seeds, and the
    other metrics have t's very wide one, or none at one seed.
    """
    if not scores:
        raise InputError("seeds", "be at least 1", 0)
    if any(set(score.metrics) != set(scores[0].metrics) for score in scores):
        raise InputError("metrics", "be the same at every seed", [sorted(score.metrics) for score in scores])
    summaries: dict[str, Summary] = {}
    for name in scores[0].metrics:
        values = np.array([score.metrics[name] for score in scores], dtype=np.float64)
        if name == primary and len(scores) < FEWEST_SEEDS:
            interval: tuple[float, float] | None = bootstrap_interval([score.primary for score in scores])
        else:
            interval = t_interval(values)
        low, high = interval or (None, None)
        summaries[name] = Summary(mean=float(values.mean()), low=low, high=high, per_seed=values.tolist())
    return summaries


def t_interval(values: Float[np.ndarray, " k"]) -> tuple[float, float] | None:
    """Student's 95% interval of the mean of k independent values; None for fewer than two."""
    if len(values) < 2:
        return None
    half = t_quantile(len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def bootstrap_interval(
    groups: Sequence[Float[np.ndarray, " _"]], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap of the mean of the groups' means, resampling inside each; 95%."""
    gens = [np.random.default_rng(derive_seed("bootstrap", seed, number)) for number in range(len(groups))]
    means = resampled_means(groups, gens, resamples)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def t_quantile(df: int) -> float:
    """Student's t at 97.5% with `df` >= 1 degrees of freedom."""
    if df <= len(_T):
        return _T[df - 1]
    z = _Z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / df + second / df**2 + third / df**3
