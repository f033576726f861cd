"""Intervals against scipy, their coverage, and what a summary holds."""

import math

import numpy as np
import pytest
import scipy.stats

from lsd_core.errors import InputError
from lsd_core.metrics.scores import Scores
from lsd_core.statistics.intervals import bootstrap_interval, summarise, t_interval, t_quantile


def scores(primary, **metrics):
    return Scores(
        primary=np.array(primary, dtype=float), metrics={"error": float(np.mean(primary))} | metrics
    )


def test_t_quantiles_are_students():
    for df in (1, 2, 5, 10, 11, 20, 100):
        assert t_quantile(df) == pytest.approx(scipy.stats.t.ppf(0.975, df), rel=1e-4)


def test_t_interval_is_scipys():
    values = np.array([0.1, 0.3, 0.25, 0.22])
    expected = scipy.stats.t.interval(0.95, 3, values.mean(), scipy.stats.sem(values))
    assert t_interval(values) == pytest.approx(expected, rel=1e-4)
    assert t_interval(values[:1]) is None


def test_bootstrap_interval_has_the_size_of_the_standard_error():
    gen = np.random.default_rng(0)
    groups = [gen.normal(1, 2, 400), gen.normal(3, 1, 100)]
    low, high = bootstrap_interval(groups)
    half = 1.96 * math.sqrt(groups[0].var() / 400 + groups[1].var() / 100) / 2
    middle = (groups[0].mean() + groups[1].mean()) / 2
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.1 * half)
    assert bootstrap_interval(groups) == (low, high)  # seeded
    assert bootstrap_interval(groups, seed=1) != (low, high)


def test_bootstrap_covers_the_truth_about_95_times_in_100():
    gen = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval([gen.exponential(1.0, 60)], resamples=300)
        hits += low <= 1.0 <= high
    assert 0.86 <= hits / 200 <= 0.99


def test_summary_of_three_seeds_is_t_over_seeds():
    result = summarise([scores([0, 1], nll=3.0), scores([1, 1], nll=4.0), scores([0, 0], nll=8.0)])
    assert set(result) == {"error", "nll"}
    assert result["nll"]["per_seed"] == [3.0, 4.0, 8.0]
    assert result["nll"]["mean"] == 5.0
    assert (result["nll"]["low"], result["nll"]["high"]) == t_interval(np.array([3.0, 4.0, 8.0]))
    assert (result["error"]["low"], result["error"]["high"]) == t_interval(np.array([0.5, 1.0, 0.0]))


def test_two_seeds_take_the_primary_interval_from_samples_and_one_leaves_the_rest_without():
    result = summarise([scores([0.0, 0.2] * 50, nll=3.0), scores([0.1, 0.3] * 50, nll=4.0)])
    low, high = result["error"]["low"], result["error"]["high"]
    assert result["error"]["mean"] == pytest.approx(0.15)
    assert low < 0.15 < high
    assert high - low < 0.05  # Student at one degree of freedom would span 1.3
    alone = summarise([scores([0.0, 0.2] * 50, nll=3.0)])
    assert alone["error"]["low"] is not None
    assert alone["nll"] == {"mean": 3.0, "low": None, "high": None, "per_seed": [3.0]}


def test_summaries_refuse_nothing_and_unlike_metrics():
    with pytest.raises(InputError, match="seeds must be at least 1"):
        summarise([])
    with pytest.raises(InputError, match="same at every seed"):
        summarise([scores([0.0], nll=1.0), scores([0.0])])
