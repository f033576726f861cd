"""Differences between two samplers' errors, claimed only where a bootstrap bound says so."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics.bootstrap import RESAMPLES, bootstrap_upper, resampled_means

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Error of one minus error of the other; negative is better."""

    mean: float
    low: float
    high: float
    """Two-sided bounds; with several comparisons made, they hold for all of them together."""
    agreeing: int | None = None
    """Seeds whose own difference has the sign of the mean; None where nothing is paired."""
    seeds: int = 1

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `no difference` where the bounds enclose zero."""
        return "better" if self.high < 0 else "worse" if self.low > 0 else "no difference"


def paired(
    one: Float[np.ndarray, "s n"], other: Float[np.ndarray, "t m"], comparisons: int = 1
) -> Difference:
    """Paired by seed and sample: percentile bootstrap of the mean, samples resampled within each seed.

    Two-sided 95% bounds, with Bonferroni's correction for the number of `comparisons` made at once.
    """
    if one.shape != other.shape:
        raise InputError("errors", "be paired: equal seeds and samples", (one.shape, other.shape))
    difference = one - other
    confidence = 1 - LEVEL / 2 / comparisons
    seed = derive_seed("study", "paired")
    mean = float(difference.mean())
    return Difference(
        mean=mean,
        low=-bootstrap_upper(-difference, seed=seed, confidence=confidence),
        high=bootstrap_upper(difference, seed=seed, confidence=confidence),
        agreeing=int((np.sign(difference.mean(axis=1)) == np.sign(mean)).sum()),
        seeds=len(difference),
    )


def unpaired(
    one: Float[np.ndarray, "s n"], other: Float[np.ndarray, "t m"], comparisons: int = 1
) -> Difference:
    """The same for samples that have nothing to do with each other, such as a teacher's."""
    confidence = 1 - LEVEL / 2 / comparisons
    spread = _centred_means(one, "one") - _centred_means(other, "other")
    mean = float(one.mean() - other.mean())
    low, high = np.quantile(spread, [1 - confidence, confidence])
    return Difference(mean=mean, low=mean + float(low), high=mean + float(high), seeds=len(one))


def _centred_means(values: Float[np.ndarray, "s n"], name: str) -> np.ndarray:
    """Bootstrap means minus the mean, samples resampled within each seed."""
    gens = [np.random.Generator(np.random.Philox(key=derive_seed("study", name)))] * len(values)
    return resampled_means(list(values), gens, RESAMPLES) - values.mean()
