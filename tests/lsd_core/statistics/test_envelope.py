"""A candidate must beat the lower envelope of a control's temperatures, also where entropy is not monotone in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lsd_core.statistics.envelope import Comparison, compare_all
from lsd_core.statistics.promotion import promote
from lsd_core.statistics.scored import Scored


def compare(candidate: Scored, name: str, family: Sequence[Scored], **options: Any) -> Comparison:
    """The candidate against the envelope of one control family."""
    return compare_all([(candidate, name, family)], **options)[0]


PUBLISHED = ((1.0, 0.1262, 3.237), (0.8, 0.0993, 3.246))
SWEEP = tuple(
    zip(
        (1.25, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6),
        (0.1065, 0.1003, 0.0960, 0.0917, 0.0865, 0.0816, 0.0776),
        (3.2916, 3.3007, 3.3023, 3.3036, 3.2995, 3.2934, 3.2856),
        strict=True,
    )
)


def point(error: float, entropy: float, *, method: str = "plain", temperature: float = 1.0) -> Scored:
    report = np.full((3, 64), error)
    return Scored(
        method=method,
        sampler="euler",
        nfe=16,
        selection=report,
        report=report,
        entropy=entropy,
        temperature=temperature,
        key=f"{method}-{temperature:g}",
    )


def family(rows: Sequence[tuple[float, float, float]], method: str = "plain") -> list[Scored]:
    return [point(error, entropy, method=method, temperature=t) for t, error, entropy in rows]


@pytest.mark.parametrize(
    ("rows", "error", "entropy"),
    [(PUBLISHED, 0.1200, 3.238), (SWEEP, 0.098, 3.2917)],
    ids=["published", "measured sweep"],
)
def test_a_candidate_worse_than_a_cooled_control_of_more_entropy_is_refused(rows, error, entropy):
    candidate = point(error, entropy, method="lsd")
    verdict = promote([candidate], {"plain": family(rows)})
    assert not verdict.won
    [comparison] = verdict.comparisons
    cheapest = min(row[1] for row in rows if row[2] >= entropy - 0.02)
    assert comparison.difference == pytest.approx(error - cheapest)
    assert promote([point(0.99 * cheapest, entropy, method="lsd")], {"plain": family(rows)}).won


def test_a_swept_control_other_than_plain_refuses_too():
    candidate = point(0.0900, 3.2917, method="lsd")
    high = family([(t, error + 0.1, entropy) for t, error, entropy in SWEEP])
    assert promote([candidate], {"plain": high}).won
    assert not promote([candidate], {"plain": high, "cosine": family(SWEEP, "cosine")}).won


def test_a_point_within_the_tolerance_below_is_on_the_envelope():
    below = family([(1.0, 0.2, 3.30), (0.8, 0.1, 3.285)])
    assert not compare(point(0.15, 3.30, method="lsd"), "plain", below, seed=0).wins
    further = family([(1.0, 0.2, 3.30), (0.8, 0.1, 3.275)])
    assert compare(point(0.15, 3.30, method="lsd"), "plain", further, seed=0).wins


def test_a_mixture_of_two_temperatures_is_on_the_envelope():
    """Samples of two temperatures mixed have the mean of their errors and at least that of their entropies."""
    ends = family([(1.0, 0.5, 3.4), (0.6, 0.1, 3.0)])
    result = compare(point(0.35, 3.2, method="lsd"), "plain", ends, seed=0)
    assert result.difference == pytest.approx(0.05)
    assert not result.wins
    assert compare(point(0.25, 3.2, method="lsd"), "plain", ends, seed=0).wins


def test_of_several_candidates_each_is_held_to_a_stricter_bound():
    noise = np.random.default_rng(0).normal(size=(1, 4000))
    shift = noise.mean() + 1.85 * noise.std() / np.sqrt(noise.size)  # passes at 95%, not at 97.5%

    def entrant(name: str) -> Scored:
        return Scored(
            method=name, sampler="euler", nfe=16, selection=noise, report=noise - shift, entropy=3.0, key=name
        )

    control = Scored(
        method="plain",
        sampler="euler",
        nfe=16,
        selection=noise,
        report=np.zeros_like(noise),
        entropy=3.0,
        key="plain",
    )
    assert promote([entrant("lsd")], {"plain": [control]}).won
    assert not promote([entrant("lsd"), entrant("path_kl")], {"plain": [control]}).won
