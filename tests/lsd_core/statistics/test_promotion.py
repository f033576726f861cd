"""Promotion: a candidate must beat every control at equal entropy, by a bound known exactly on small data."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from lsd_core.errors import InputError
from lsd_core.statistics.bootstrap import bootstrap_upper, bootstrap_uppers
from lsd_core.statistics.envelope import Comparison, compare_all, envelope_rivals
from lsd_core.statistics.promotion import median_seed, promote
from lsd_core.statistics.scored import Scored


def compare(candidate: Scored, name: str, family: Sequence[Scored], **options: Any) -> Comparison:
    """The candidate against the envelope of one control family."""
    return compare_all([(candidate, name, family)], **options)[0]


def scored(report, *, selection=None, entropy=3.0, method="plain", temperature=1.0, key="") -> Scored:
    report = np.atleast_2d(np.asarray(report, dtype=float))
    selection = report if selection is None else np.atleast_2d(selection)
    return Scored(
        method=method,
        sampler="euler",
        nfe=8,
        selection=selection,
        report=report,
        entropy=entropy,
        temperature=temperature,
        key=key or method,
    )


def exact_quantile(rows, level: float) -> float:
    """The level-quantile of the bootstrap's own law, every resample of every seed counted."""
    means = [
        np.mean([rows[0][i] for i in picks]) for picks in product(range(len(rows[0])), repeat=len(rows[0]))
    ]
    for row in rows[1:]:
        other = [np.mean([row[i] for i in picks]) for picks in product(range(len(row)), repeat=len(row))]
        means = [a + b for a in means for b in other]
    return float(np.quantile(np.asarray(means) / len(rows), level, method="higher"))


def test_bound_equals_the_enumerated_quantile():
    one = np.array([[0.0, 1.0, 3.0, -7.0]])
    assert bootstrap_upper(one, seed=1, resamples=20_000) == pytest.approx(exact_quantile(one, 0.95))
    assert exact_quantile(one, 0.95) != exact_quantile(one, 0.90)  # the level matters on these data


def test_samples_are_resampled_within_their_seed():
    rows = np.array(
        [[1.0, 1.0, 1.0], [-2.0, -2.0, -2.0]]
    )  # across seeds the mean would vary; within it cannot
    assert bootstrap_upper(rows, seed=1) == pytest.approx(-0.5, abs=1e-12)
    rows = np.array([[0.0, 8.0, 1.0], [0.0, 3.0, 30.0]])
    assert bootstrap_upper(rows, seed=3, resamples=40_000) == pytest.approx(exact_quantile(rows, 0.95))


def test_bound_is_a_function_of_its_seed():
    data = np.random.default_rng(0).normal(size=(2, 500))
    assert bootstrap_upper(data, seed=5) == bootstrap_upper(data, seed=5)
    assert bootstrap_upper(data, seed=5) != bootstrap_upper(data, seed=6)


def test_chunks_of_resamples_change_nothing_but_memory():
    data = np.random.default_rng(1).normal(size=(1, 9000))  # 4000 x 9000 indices: several chunks
    upper = bootstrap_upper(data, seed=1)
    expected = data.mean() + 1.645 * data.std() / np.sqrt(9000)
    assert upper == pytest.approx(expected, abs=0.1 * data.std() / np.sqrt(9000))


def test_many_bounds_are_each_ones_own():
    rng = np.random.default_rng(4)
    data = [rng.normal(size=shape) for shape in ((2, 300), (3, 300), (2, 300))]
    together = bootstrap_uppers(data, seed=9)
    assert together == pytest.approx([bootstrap_upper(each, seed=9) for each in data], abs=1e-12)
    assert len(set(together)) == 3


def test_pairing_cancels_noise_that_both_share():
    noise = np.random.default_rng(2).normal(scale=10, size=(2, 400))
    result = compare(scored(noise - 0.01, method="lsd"), "plain", [scored(noise)], seed=0)
    assert result.wins
    assert result.upper == pytest.approx(-0.01, abs=1e-9)
    shuffled = compare(scored(noise[:, ::-1] - 0.01, method="lsd"), "plain", [scored(noise)], seed=0)
    assert not shuffled.wins  # the same numbers, no longer paired


@pytest.mark.parametrize(
    ("entropy", "weights"),
    [
        (3.00, {0: 1.0}),
        (3.05, {0: 0.75, 1: 0.25}),
        (3.20, {1: 1.0}),
        (3.30, {1: 0.5, 2: 0.5}),
        (3.419, {2: 1.0}),  # within 0.02 nat of the end
        (2.981, {0: 1.0}),
        (3.421, {}),
        (2.979, {}),
    ],
)
def test_envelope_at_an_entropy(entropy, weights):
    """The neighbours' mixture at this entropy, or the nearest end, is among what must be beaten; beyond, nothing is."""
    found = envelope_rivals(entropy, [3.0, 3.2, 3.4])
    if not weights:
        assert found == []
    else:
        assert any(rival == pytest.approx(weights) for rival in found if rival.keys() == weights.keys())
        assert all(sum(rival.values()) == pytest.approx(1) for rival in found)


def test_out_of_reach_the_nearest_end_stands_in_for_whoever_is_no_further_from_the_teacher():
    family = [scored(0.2, entropy=3.0, temperature=0.8), scored(0.6, entropy=3.2)]
    diverse = scored(0.3, entropy=3.35, method="lsd")
    assert compare(diverse, "plain", family, seed=0).bracket == ()
    near = compare(diverse, "plain", family, seed=0, teacher_entropy=3.3)
    assert near.bracket == (family[1].label,)
    assert near.difference == pytest.approx(-0.3)
    assert near.wins
    cold = scored(0.0, entropy=2.5, method="lsd")
    assert not compare(cold, "plain", family, seed=0, teacher_entropy=3.3).wins  # far from the teacher
    hot = scored(0.0, entropy=3.45, method="lsd")  # 0.15 above the teacher; the end is 0.1 below it
    assert not compare(hot, "plain", family, seed=0, teacher_entropy=3.3).wins


def test_controls_with_equal_entropies_are_no_division_by_zero():
    found = envelope_rivals(3.2, [3.0, 3.2, 3.2, 3.4])
    assert found[:3] == [{1: 1.0}, {2: 1.0}, {3: 1.0}]
    assert found[3:] == [pytest.approx({0: 0.5, 3: 0.5})]
    assert envelope_rivals(3.0, [3.0, 3.0]) == [{0: 1.0}, {1: 1.0}]


def test_candidate_meets_the_control_at_its_own_entropy():
    family = [scored(0.2, entropy=3.0, temperature=0.8), scored(0.6, entropy=3.4)]
    result = compare(scored(0.35, entropy=3.1, method="lsd"), "plain", family, seed=0)
    assert result.difference == pytest.approx(0.05)  # the control at 3.1 nat is at 0.3
    assert result.upper == pytest.approx(0.05)
    assert not result.wins
    assert compare(scored(0.29, entropy=3.1, method="lsd"), "plain", family, seed=0).wins


def test_a_tie_is_no_win():
    assert not compare(scored(0.2, method="lsd"), "plain", [scored(0.2)], seed=0).wins


def test_one_lost_control_is_enough_to_lose():
    candidate = scored([[0.1] * 4], method="lsd")
    controls = {"plain": [scored([[0.3] * 4])], "cosine": [scored([[0.05] * 4], method="cosine")]}
    verdict = promote([candidate], controls)
    assert [c.wins for c in verdict.comparisons] == [True, False]
    assert not verdict.won
    assert verdict.key == "cosine"
    assert "control cosine (euler, nfe 8) keeps the alias" in verdict.sentence


def test_not_comparable_means_the_control_keeps_the_alias_and_says_so():
    candidate = scored(0.0, entropy=2.5, method="lsd")
    verdict = promote([candidate], {"plain": [scored(0.3)]})
    assert not verdict.won
    assert verdict.key == "plain"
    [comparison] = verdict.comparisons
    assert comparison.difference is None
    assert comparison.bracket == ()
    assert "not comparable" in comparison.sentence
    assert "keeps the alias" in comparison.sentence


def test_selection_seeds_choose_and_report_seeds_are_quoted():
    lucky = scored(0.01, selection=0.20, method="lucky")  # best where it must not be looked at
    steady = scored(0.05, selection=0.10, method="steady")
    verdict = promote([lucky, steady], {"plain": [scored(0.3)]})
    assert verdict.key == "steady"
    assert (verdict.selection, verdict.report) == pytest.approx((0.10, 0.05))


def test_a_winner_on_selection_must_still_win_on_report():
    verdict = promote([scored(0.4, selection=0.0, method="lsd")], {"plain": [scored(0.3)]})
    assert verdict.key == "plain"


def test_cooling_alone_takes_no_alias():
    cold = scored(0.0, entropy=2.0, temperature=0.5, key="cold")
    cosine = scored(0.2, entropy=2.99, method="cosine")
    controls = {"plain": [scored(0.3, entropy=3.0), cold], "cosine": [cosine]}
    assert promote([], controls).key == "cosine"
    assert promote([], controls, reference_entropy=1.9).key == "cold"  # unless its diversity is enough


def test_only_keepers_keep_an_alias():
    strong = scored(0.1, method="cosine")
    controls = {"plain": [scored(0.3)], "cosine": [strong]}
    verdict = promote([scored(0.2, method="lsd")], controls, keepers=[scored(0.3)])
    assert verdict.key == "plain"
    assert [comparison.control for comparison in verdict.comparisons if not comparison.wins] == ["cosine"]


def test_without_a_reference_the_plain_sampler_must_be_there():
    with pytest.raises(InputError, match="plain sampler at temperature 1"):
        promote([], {"cosine": [scored(0.1, method="cosine")]})


def test_unpaired_results_are_refused():
    with pytest.raises(InputError, match="paired"):
        promote([scored([[0.1, 0.2]], method="lsd")], {"plain": [scored([[0.1, 0.2, 0.3]])]})


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="finite"):
        scored([[0.1, np.nan]])
    with pytest.raises(InputError, match="entropy"):
        replace(scored(0.1), entropy=np.inf)


def test_verdict_is_plain_data():
    verdict = promote([scored(0.1, method="lsd")], {"plain": [scored(0.3)]}).to_dict()
    assert verdict["won"]
    assert verdict["comparisons"][0]["upper"] == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ({3: 0.1}, 3),
        ({0: 0.3, 1: 0.1, 2: 0.2}, 2),
        ({0: 0.1, 1: 0.2}, 1),  # of two, never the better
        ({0: 0.4, 1: 0.1, 2: 0.3, 3: 0.2}, 2),
        ({0: float("nan"), 1: 0.1, 2: 0.2}, 2),
        ({5: 0.1, 4: 0.1, 6: 0.1}, 5),
    ],
)
def test_median_seed_is_never_the_lucky_one(values, median):
    assert median_seed(values) == median
