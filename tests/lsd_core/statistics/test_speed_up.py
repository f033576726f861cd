"""Speed-up: exact on a power law, and never beyond what was measured."""

import pytest

from lsd_core.errors import InputError
from lsd_core.statistics.speed_up import reach

NFE = [4, 8, 16, 32]
LAW = [1.6 / n**1.5 for n in NFE]


@pytest.mark.parametrize("wanted", [4.5, 8.0, 11.0, 31.9])
def test_interpolation_is_exact_on_a_power_law(wanted: float) -> None:
    found = reach(1.6 / wanted**1.5, NFE, LAW)
    assert (found.side, found.nfe) == ("at", pytest.approx(wanted))


def test_nothing_is_extrapolated() -> None:
    assert str(reach(LAW[-1] * 0.99, NFE, LAW)) == "beyond 32"
    assert str(reach(LAW[0] * 1.01, NFE, LAW)) == "4 or fewer"
    assert str(reach(0.0, NFE, LAW)) == "beyond 32"


def test_the_first_crossing_counts_and_a_zero_is_reached_at_its_own_point() -> None:
    assert reach(0.1, [2, 4, 8], [0.2, 0.1, 0.3]).nfe == pytest.approx(4)
    assert reach(0.05, [2, 4], [0.2, 0.0]).nfe == 4


def test_wrong_curves_are_refused() -> None:
    with pytest.raises(InputError, match="ascend"):
        reach(0.1, [8, 4], [0.2, 0.1])
