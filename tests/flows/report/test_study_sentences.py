"""The sentences of studies, on numbers made up: claims where the bounds allow them, losses said plainly."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flows.report.study import budget, certificates, compare, few_against_many, speed_up
from flows.report.study.findings import comparisons_of
from flows.report.study.measured import Estimate, Point
from flows.report.table_rows import TEACHER, Row
from flows.study.config import StudyConfig, Variant
from lsd_core.cards import Metric

NOISE = np.random.default_rng(0).random((3, 300))
NOISE -= NOISE.mean()


def point(label: str, error: float, nfe: int = 8, entropy: float = 3.2, **others: Any) -> Point:
    """Errors around `error`, paired with every other point's."""
    metrics = {
        "error": Metric(mean=error, low=0.9 * error, high=1.1 * error),
        "unigram_entropy": Metric(mean=entropy),
    }
    return Point(row=row(label, metrics, nfe), scores=error * (1 + 0.2 * NOISE), **others)


def row(
    label: str, metrics: dict[str, Metric], nfe: int, method: str = "plain", sampler: str = "euler"
) -> Row:
    return Row(
        backbone="b",
        nfe=nfe,
        sampler=sampler,
        method=method,
        primary_metric="error",
        diversity_metric="unigram_entropy",
        metrics=metrics,
        label=label,
    )


def at_entropy(point: Point, entropy: float) -> Point:
    metrics = {**point.row.metrics, "unigram_entropy": Metric(mean=entropy)}
    return replace(point, row=replace(point.row, metrics=metrics))


def teacher(error: float, entropy: float = 3.2) -> Point:
    metrics = {"error": Metric(mean=error), "unigram_entropy": Metric(mean=entropy)}
    found = row("teacher exact", metrics, 64, TEACHER, "first_hitting")
    return Point(row=found, scores=np.full((1, 400), error))


def study(kind: str = "compare", **fields: object) -> StudyConfig:
    given = {"kind": kind, "variants": [Variant(label="plain", method="plain")]} | fields
    return StudyConfig(name="s", question="Well?", **given)  # type: ignore[arg-type]


def test_a_win_a_loss_and_a_tie_are_told_apart() -> None:
    gen = np.random.default_rng(1)
    noisy = point("even", 0.20, against="plain")
    noisy = replace(noisy, scores=0.2 + 0.1 * gen.standard_normal((3, 300)))
    points = [
        point("plain", 0.2),
        point("good", 0.1, against="plain"),
        point("bad", 0.3, against="plain"),
        noisy,
    ]
    findings = compare.analyse(study(), points, [])
    good, bad, even = findings.sentence.split("; ")
    assert good.startswith("Good is better than plain at NFE 8 (0.1000 (0.0900-0.1100) against 0.2000")
    assert "the same way in 3 of 3 seeds" in good
    assert bad.startswith("bad is worse than plain")
    assert even.startswith("even shows no difference to plain")
    assert [row["verdict"] for row in findings.rows] == ["", "better", "worse", "no difference"]


def test_an_error_bought_with_entropy_is_said() -> None:
    points = [point("plain", 0.2), point("cool", 0.1, against="plain", entropy=3.0)]
    assert "at an entropy 0.200 nat lower" in compare.sentence(comparisons_of(points))
    assert "entropy" not in compare.sentence(comparisons_of([points[0], at_entropy(points[1], 3.19)]))


def test_many_comparisons_are_counted_and_the_extremes_told() -> None:
    points = [point("plain", 0.2)]
    points += [point(f"p{k}", error, against="plain") for k, error in enumerate((0.1, 0.15, 0.2, 0.3, 0.4))]
    said = compare.sentence(comparisons_of(points))
    assert said.startswith("Of 5 comparisons 2 are better, 2 worse and 1 show no difference")
    assert "the most: p0 is better" in said
    assert "the worst: p4 is worse" in said


def test_only_points_of_one_nfe_are_compared() -> None:
    points = [
        point("plain", 0.2, 4),
        point("a", 0.1, 8, against="plain"),
        point("a", 0.1, 4, against="plain"),
    ]
    assert [made.point.nfe for made in comparisons_of(points)] == [4]


def test_whether_a_student_beats_its_teacher() -> None:
    points = [point("a", 0.02, 16), point("a", 0.002, 32)]
    assert compare.beaten(points, teacher(0.004)).startswith("a at NFE 32 (0.0020 (0.0018-0.0022)) beats its")
    lost = compare.beaten(points, teacher(0.001))
    assert lost.startswith(
        "no student beats its teacher (exact, 64 calls, error 0.0010); the best, a at NFE 32"
    )
    assert lost.endswith("is worse")


def test_speed_up_by_interpolation_and_beyond_the_curve() -> None:
    plain = [point("plain", 1.6 / n, n) for n in (4, 8, 16)]
    points = [*plain, point("fast", 1.6 / 11.3, 4), point("best", 0.01, 8)]
    findings = speed_up.analyse(study("speed-up", baseline="plain"), points, [])
    rows = {row["label"]: row for row in findings.rows[3:]}
    assert (rows["fast"]["baseline_nfe"], rows["fast"]["speed_up"]) == ("11.3", "2.83")
    assert (rows["fast"]["baseline_nfe_low"], rows["fast"]["baseline_nfe_high"]) == ("10.3", "12.6")
    assert (rows["best"]["baseline_nfe"], rows["best"]["speed_up"]) == ("beyond 16", "> 2.00")
    assert "plain reaches at 11.3 (10.3 to 12.6), 2.8 times the calls" in findings.sentence
    assert "plain reaches at beyond 16" in findings.sentence


def test_budgets_say_where_not_and_what_was_overspent() -> None:
    points = [
        point("plus 4k", 0.1, budget=4096, sequences=4000.0),
        point("ours 4k", 0.05, budget=4096, sequences=4500.0, against="plus 4k"),
        point("plus 16k", 0.04, budget=16384, sequences=16000.0),
        point("ours 16k", 0.06, budget=16384, sequences=15000.0, against="plus 16k"),
    ]
    findings = budget.analyse(study("budget"), points, [])
    assert findings.sentence.startswith("The error is higher at 16k: at 4k ours 4k is better than plus 4k")
    assert "having spent 15000 against 16000 sequences" in findings.sentence
    assert findings.sentence.endswith("over budget: ours 4k (4500).")
    assert [row["within_budget"] for row in findings.rows] == [True, False, True, True]
    fine = budget.analyse(study("budget"), points[:2], [])
    assert fine.sentence.startswith("The error is no higher at any budget: ")


def ranked(order: list[float], **others: object) -> list[Point]:
    return [
        point(
            f"p{k}",
            0.01 * (k + 1),
            certificates={"reverse": Estimate(nats), "forward_swapped": Estimate(nats)},
            **others,
        )
        for k, nats in enumerate(order)
    ]


@pytest.mark.parametrize(("order", "verb"), [([1, 2, 3, 4], "ranks"), ([1, 4, 2, 3], "does not rank")])
def test_certificates_are_held_to_the_wanted_correlation(order: list[float], verb: str) -> None:
    points = ranked([float(value) for value in order], gainless=True)
    sentence = certificates.analyse(study("certificates"), points, [teacher(0.0)]).sentence
    assert sentence.startswith(f"The reverse certificate {verb} the 4 of 4 candidates")
    assert f"the forward certificate {verb} the 4 of 4 candidates with gain 1" in sentence


def test_only_eligible_candidates_are_ranked() -> None:
    points = ranked([1.0, 2.0, 3.0], gainless=True)
    far = replace(at_entropy(points[0], 3.4), gainless=False)
    far = replace(far, row=replace(far.row, label="far"))
    kept = certificates.eligible([*points, far], teacher(0.0))
    assert (
        [p.label for p in kept["reverse"]] == [p.label for p in kept["forward_swapped"]] == ["p0", "p1", "p2"]
    )
    assert certificates.eligible(points, None)["reverse"] == []
    said = certificates.clause("reverse", points[:2], 3)
    assert "too few candidates" in said


def test_few_calls_are_held_against_many_plain_ones_and_against_the_exact_sampler() -> None:
    points = [
        point("plain", 0.9, nfe=8),
        point("plain", 0.5, nfe=128),
        point("learned", 0.4, nfe=8, entropy=3.0),
        point("level", 0.501, nfe=8),
    ]
    asked = study("few-against-many", baseline="plain")
    found = few_against_many.analyse(asked, points, [teacher(0.3)])
    many, exact = found.sentence.split("; none is as good as ")
    assert many.startswith("no worse than plain at NFE 128 (0.5000 (0.4500-0.5500)) within bounds: ")
    assert "learned at NFE 8 (better), -0.1" in many
    assert "at an entropy 0.200 nat lower" in many  # what may explain it is said
    assert "level at NFE 8, -0.0" in many
    assert "plain at NFE 8" not in many
    assert exact.startswith("the exact sampler (64 calls, 0.3000); the nearest, learned at NFE 8, has 0.4000")
    rows = {(row["label"], row["nfe"]): row for row in found.rows}
    assert rows["learned", 8]["to_many"] == pytest.approx(-0.1)
    assert rows["learned", 8]["to_exact"] == pytest.approx(0.1)
    assert "to_many" not in rows["plain", 128]  # it is what the others are held against
    assert rows["plain", 128]["to_exact_verdict"] == "worse"


def test_few_calls_without_what_they_are_held_against_are_not_judged() -> None:
    with pytest.raises(ValueError, match="few-against-many needs a baseline"):
        study("few-against-many")
    assert few_against_many.analyse(study("few-against-many", baseline="plain"), [], []).drawings == []
