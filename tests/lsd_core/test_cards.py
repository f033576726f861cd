"""Cards: the same text for the same work, and nothing in them that contradicts the rest."""

import json

import pytest
from pydantic import ValidationError

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json, digest
from lsd_core.samplers import StepTable


def changed(card: SamplerCard, path: str, value: object) -> str:
    """The card's text with one field replaced (or removed, for `...`)."""
    content = json.loads(card.to_json())
    *way, last = path.split(".")
    part = content
    for step in way:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return json.dumps(content)


def test_text_and_card_are_the_same_thing(make_card):
    card = make_card()
    again = SamplerCard.from_json(card.to_json())
    assert again == card
    assert again.to_json() == card.to_json() == canonical_json(json.loads(card.to_json()))
    assert again.sha256 == card.sha256


def test_layout_of_the_text_does_not_change_the_card(make_card):
    card = make_card()
    pretty = json.dumps(dict(reversed(json.loads(card.to_json()).items())), indent=2)
    assert SamplerCard.from_json(pretty).sha256 == card.sha256


def test_any_changed_number_changes_the_hash(make_card):
    card = make_card()
    other = SamplerCard.from_json(changed(card, "table.gains", [1.0, 1.5000001]))
    assert other.sha256 != card.sha256


def test_equal_work_gives_equal_cards_whatever_the_containers(make_card):
    table = {"gain_on": "log_score", "gains": (1.0, 1.5), "times": (1.0, 0.5, 0.0)}
    assert make_card(table=table).sha256 == make_card().sha256


def test_a_card_does_not_follow_what_it_was_made_from(make_card):
    config = {"epochs": [20]}
    card = make_card(method_config=config)
    config["epochs"].append(40)
    assert card.method_config == {"epochs": [20]}


def test_a_card_cannot_be_edited(make_card):
    with pytest.raises(ValidationError, match="frozen"):
        make_card().nfe = 3


def test_table_survives(make_card):
    table = StepTable(counts=(6, 2, 0), gains=(0.5, 2.0), gain_on="score")
    card = SamplerCard.from_json(make_card(table=table.to_dict()).to_json())
    assert card.table == table


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_null(make_card, value):
    card = make_card(error=value)
    assert card.primary.mean is None
    assert card.primary.per_seed == (0.2, None, 0.3)
    assert SamplerCard.from_json(card.to_json()) == card
    assert make_card(certificate={"nats": value}).certificate == {"nats": None}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("nfe", 0, "card.nfe must be greater than or equal to 1, got 0"),
        ("nfe", 2.5, "card.nfe must be a valid integer"),
        ("nfe", "2", "card.nfe must be a valid integer"),
        ("nfe", ..., "card.nfe must be present"),
        ("nfe", 1, "card.calls.max must be at most the budget nfe = 1, got 2"),
        ("calls.mean", 2.5, "card.calls.mean must be at most calls.max = 2, got 2.5"),
        ("started_at", "noon", "card.started_at must not be there, got noon"),
        ("schema_version", 2, "card.schema_version must be 1, got 2"),
        ("steps", 3, "card.steps must be the table's number of steps, 2, got 3"),
        ("table.times", [0.0, 0.5, 1.0], "table.times must be strictly decreasing"),
        ("seed", 7, "card.seed must be one of the seeds [0, 1, 2], got 7"),
        ("teacher_hash", "0" * 16, "card.teacher_hash must be the teacher's hash None"),
        ("evaluation.primary", "fid", "card.evaluation.selection must contain fid"),
        ("evaluation.report.error.per_seed", [0.1], "per_seed must have one value for each of 3 seeds"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused_by_field(make_card, path, value, message):
    with pytest.raises(InputError) as caught:
        SamplerCard.from_json(changed(make_card(), path, value))
    assert message in str(caught.value)


def test_text_that_is_no_card_names_its_source():
    with pytest.raises(InputError, match=r"x/card\.json must be a sampler card in JSON"):
        SamplerCard.from_json('{"nfe": 8', source="x/card.json")
    with pytest.raises(InputError, match=r"x/card.json: card must be a valid dictionary.*got \[\]"):
        SamplerCard.from_json("[]", source="x/card.json")


def test_teacher_and_its_hash_go_together(make_card):
    teacher = {"method": "first_hitting", "seed": 0}
    card = make_card(teacher=teacher, teacher_hash=digest(teacher)[:16])
    with pytest.raises(InputError, match="teacher_hash"):
        SamplerCard.from_json(changed(card, "teacher.seed", 1))


def test_only_its_own_backbone_will_do(make_card, tiny_backbone):
    card = make_card()
    card.check_backbone(tiny_backbone)
    other = exact_backbone("tiny", length=6, num_values=5)
    with pytest.raises(InputError, match=f"must be {tiny_backbone.fingerprint}.*got {other.fingerprint}"):
        card.check_backbone(other)
