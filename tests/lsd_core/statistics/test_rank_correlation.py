"""Rank correlation agrees with scipy's, ties included."""

import numpy as np
import pytest
from scipy import stats

from lsd_core.errors import InputError
from lsd_core.statistics.rank_correlation import spearman


@pytest.mark.parametrize("seed", range(5))
def test_spearman_equals_scipys_with_ties(seed: int) -> None:
    gen = np.random.default_rng(seed)
    a, b = gen.integers(0, 6, (2, 20)).astype(float)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_a_monotone_map_leaves_ranks_alone_and_a_constant_has_none() -> None:
    a = np.array([3.0, 1.0, 2.0, 9.0])
    assert spearman(a, np.exp(a)) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    assert np.isnan(spearman(a, np.ones(4)))
    with pytest.raises(InputError, match="length"):
        spearman(a, a[:3])
