"""A difference is claimed when it is there and not when it is noise."""

import numpy as np
import pytest

from lsd_core.errors import InputError
from lsd_core.statistics.differences import paired, unpaired

GEN = np.random.default_rng(0)
COMMON = GEN.random((3, 400))


def test_pairing_sees_a_shift_far_below_the_spread_of_the_samples() -> None:
    shifted = COMMON - 0.004 + 0.02 * GEN.standard_normal(COMMON.shape)
    found = paired(shifted, COMMON)
    assert found.verdict == "better"
    assert found.low < found.mean < found.high < 0
    assert found.agreeing == found.seeds == 3
    assert paired(COMMON, shifted).verdict == "worse"
    assert unpaired(shifted, COMMON).verdict == "no difference"


@pytest.mark.slow
def test_noise_is_no_difference() -> None:
    """Of 60 comparisons of equals, 5% of bounds may err; corrected for all of them, none may."""
    claims = {1: 0, 60: 0}
    for _ in range(60):
        one, other = GEN.random((2, 2, 150))
        for comparisons in claims:
            claims[comparisons] += paired(one, other, comparisons).verdict != "no difference"
    assert claims[60] == 0
    assert claims[1] <= 9


def test_correction_widens_the_bounds() -> None:
    noisy = COMMON + 0.1 * GEN.standard_normal(COMMON.shape)
    single, many = paired(noisy, COMMON), paired(noisy, COMMON, comparisons=14)
    assert many.low < single.low < single.high < many.high


def test_unpaired_bounds_match_the_normal_ones() -> None:
    one, other = GEN.random((2, 500)), GEN.random((1, 300)) + 0.1
    found = unpaired(one, other)
    error = np.sqrt(one.var() / one.size + other.var() / other.size)
    assert found.verdict == "better"
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_unequal_shapes_cannot_be_paired() -> None:
    with pytest.raises(InputError, match="paired"):
        paired(COMMON, COMMON[:2])
