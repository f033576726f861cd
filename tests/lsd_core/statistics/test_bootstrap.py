"""One bootstrap: intervals, bounds and differences are quantiles of the means that it resamples, to the last bit."""

import numpy as np
import pytest
from jaxtyping import Float

from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics import bootstrap
from lsd_core.statistics.bootstrap import bootstrap_uppers, resampled_means
from lsd_core.statistics.differences import unpaired
from lsd_core.statistics.intervals import bootstrap_interval

RESAMPLES = 200


def picked(gen: np.random.Generator, samples: int) -> Float[np.ndarray, "r n"]:
    return gen.integers(0, samples, size=(RESAMPLES, samples))


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize("block", [60, 1 << 22])
def test_it_is_the_mean_over_groups_of_resamples_inside_each(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(bootstrap, "BLOCK", block)  # so many picks at a time change nothing
    groups = [values(1, 20), values(2, 13)]
    expected = sum(
        group[picked(np.random.default_rng(seed), len(group))].mean(axis=1) / 2
        for seed, group in enumerate(groups)
    )
    gens = [np.random.default_rng(seed) for seed in range(2)]
    assert np.array_equal(resampled_means(groups, gens, RESAMPLES), expected)


def test_an_interval_and_a_difference_are_its_quantiles() -> None:
    groups = [values(1, 40), values(2, 40)]
    means = sum(
        group[picked(np.random.default_rng(derive_seed("bootstrap", 7, number)), 40)].mean(axis=1) / 2
        for number, group in enumerate(groups)
    )
    low, high = np.quantile(means, [0.025, 0.975])
    assert bootstrap_interval(groups, seed=7, resamples=RESAMPLES) == (low, high)
    one, other = values(3, 2, 30), values(4, 3, 20)
    spread = np.zeros(4000)
    for sign, name, rows in ((1, "one", one), (-1, "other", other)):
        gen = np.random.Generator(np.random.Philox(key=derive_seed("study", name)))
        drawn = np.zeros(4000)
        for row in rows:
            drawn += row[gen.integers(0, len(row), size=(4000, len(row)))].mean(axis=1) / len(rows)
        spread += sign * (drawn - rows.mean())
    found, mean = unpaired(one, other), one.mean() - other.mean()
    low, high = np.quantile(spread, [1 - 0.975, 0.975])
    assert (found.low, found.high) == (mean + low, mean + high)


def test_bounds_of_one_shape_share_their_resamples() -> None:
    several = [values(seed, 3, 25) for seed in range(4)]
    together = bootstrap_uppers(several, seed=5, resamples=RESAMPLES)
    alone = [bootstrap_uppers([one], seed=5, resamples=RESAMPLES)[0] for one in several]
    assert together == pytest.approx(alone, abs=1e-15)
    gen = np.random.Generator(np.random.Philox(key=5))
    means = sum(row[picked(gen, 25)].mean(axis=1) / 3 for row in several[0])
    assert together[0] == pytest.approx(np.quantile(means, 0.95, method="higher"), abs=1e-15)
