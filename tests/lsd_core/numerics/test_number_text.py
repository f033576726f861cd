"""Numbers as text."""

import math

import pytest

from lsd_core.numerics.number_text import (
    at_most_text,
    entropy_text,
    estimate_text,
    interval_text,
    ratio_text,
    short,
    signed,
)


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (0.0574, 0.2181, "0.263"),
        (8.267e-05, 0.0954, "0.000867"),
        (3.0, 2.0, "1.500"),
        (0.1, 0.0, ""),
        (math.nan, 1.0, ""),
    ],
)
def test_a_share_has_three_digits_however_small(one: float, other: float, text: str) -> None:
    assert ratio_text(one, other) == text


def test_what_is_not_finite_says_so() -> None:
    assert [short(value) for value in (None, math.nan, math.inf, 0.022314)] == ["not finite"] * 3 + [
        "0.02231"
    ]
    assert [entropy_text(value) for value in (None, math.nan, 3.30149)] == ["not finite"] * 2 + ["3.301"]


def test_an_interval_stands_in_brackets_where_there_is_one() -> None:
    assert interval_text(0.0223, 0.0213, 0.0233) == "0.0223 (0.0213 to 0.0233)"
    assert interval_text(0.0223, None, None) == "0.0223"
    assert signed(-0.16071) == "-0.1607"
    assert signed(1.735e-18) == signed(-1.735e-18) == "+0"


def test_an_estimate_has_the_digits_that_its_standard_error_bears() -> None:
    assert [estimate_text(22.34, error) for error in (0.41, 0.12, 3.0, 0.0)] == [
        "22.3 ± 0.4",
        "22.34 ± 0.12",
        "22 ± 3",
        "22.3",
    ]
    assert estimate_text(None, 1.0) == ""
    assert [estimate_text(2.5, math.nan), estimate_text(math.inf, math.inf)] == ["2.5", "not finite"]
    assert estimate_text(-6.1e-15, 9e-16) == "0"  # rounding, not a measurement


def test_zeros_on_every_path_prove_no_more_than_that_they_were_seen() -> None:
    assert at_most_text(47.0, 0.11, 128) == "at most 47.2 nat"
    assert at_most_text(0.0, 0.0, 128) == at_most_text(-6e-15, 9e-16, 128) == "0 nat on each of 128 paths"
    assert at_most_text(0.0, 0.2, 128) == "at most 0.4 nat"
    assert at_most_text(0.0, 0.0, 0) == "at most 0 nat"  # a version that does not say how many there were
