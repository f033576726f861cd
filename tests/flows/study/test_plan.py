"""Every ready study parses, plans, and compares what it names; wrong ones are told what is wrong."""

from pathlib import Path

import pytest
import yaml

from flows.study.config import StudyConfig, load_study, study_names
from flows.study.plan import make_study_plan
from lsd_core.errors import InputError

COMPARISONS = {"zeta", "teacher-steps", "gain-on", "coupling", "paths"}
WANTED = COMPARISONS | {"speed-up", "few-against-many", "budget", "certificates"}


def study_of(tmp_path: Path, **fields: object) -> StudyConfig:
    record = {
        "name": "mine",
        "question": "Well?",
        "nfe": [4],
        "variants": [{"label": "plain", "method": "plain"}],
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(record | fields))
    return load_study(str(file))


def test_the_studies_that_were_asked_for_are_there() -> None:
    assert set(study_names()) >= WANTED


@pytest.mark.parametrize("name", study_names())
def test_every_ready_study_plans_and_each_comparison_finds_its_partner(name: str) -> None:
    study = load_study(name)
    plan = make_study_plan(study)
    assert study.name == name
    assert study.question.endswith("?")
    measured = {(entry.variant.label, entry.spec.nfe) for entry in plan.entries if entry.measured}
    for entry in plan.entries:
        if entry.measured and entry.variant.against is not None:
            assert (entry.variant.against, entry.spec.nfe) in measured
    keys = [entry.spec.key for entry in plan.entries]
    assert len(set(keys)) == len(keys)  # no two variants are one and the same


def test_varied_settings_become_variants_with_labels_of_their_own() -> None:
    labels = [variant.label for variant in load_study("zeta").expanded]
    assert len(labels) == 16
    assert "zeta 0.05, rate 0.01" in labels
    held = {v.against for v in load_study("zeta").expanded if v.label.endswith("rate 0.03")}
    assert held == {"zeta 0.0, rate 0.03"}


def test_teachers_differ_where_a_variant_says_so_and_all_read_enough() -> None:
    plan = make_study_plan(load_study("teacher-steps"))
    assert {teacher.steps for teacher in plan.plan.teachers} == {None, 256, 512, 1024}
    assert {t.method for t in make_study_plan(load_study("paths")).plan.teachers} == {"data", "first_hitting"}
    budget = make_study_plan(load_study("budget", **{"teacher.trajectories": 300}))
    assert {entry.spec.trajectories for entry in budget.entries} == {None, 16, 64, 300}
    assert budget.plan.config.teacher.trajectories == 300
    assert [entry.spec.nfe for entry in budget.entries if not entry.measured] == [4, 16, 32, 64] * 3


def test_sizes_are_said_and_only_small_ones_warn() -> None:
    assert "512 samples x 3 seeds" in load_study("zeta").sizes
    assert "for claims" in load_study("zeta").sizes
    assert "for claims" not in load_study("zeta", **{"evaluation.samples": 4096}).sizes


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variants": [{"label": "a", "method": "magic"}]}, ["method", "path_kl", "magic"]),
        ({"variants": [{"label": "a", "method": "plain"}] * 2}, ["labels of their own"]),
        ({"variants": [{"label": "a", "method": "plain", "against": "b"}]}, ["against", "b"]),
        ({"variants": [{"label": "{zeta}", "method": "lsd"}]}, ["label", "varied", "{zeta}"]),
        ({"kind": "speed-up"}, ["baseline"]),
        ({"kind": "guess"}, ["kind", "speed-up", "guess"]),
        ({"colour": "red"}, ["colour", "question"]),
        ({"beat": True}, ["beat", "first_hitting"]),
        (
            {"variants": [{"label": "a", "method": "lsd", "teacher": {"stps": 3}}]},
            ["teacher", "steps", "stps"],
        ),
        (
            {"variants": [{"label": "a", "method": "lsd", "teacher": {"method": "data", "steps": 3}}]},
            ["teacher.steps", "data", "3"],
        ),
    ],
)
def test_wrong_input_is_named(tmp_path: Path, fields: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        make_study_plan(study_of(tmp_path, **fields))
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_study_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"budget.*zeta.*luck"):
        load_study("luck")
