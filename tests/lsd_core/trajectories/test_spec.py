"""A spec's hash names its data: equal content, equal hash; any change, another."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lsd_core.errors import InputError
from lsd_core.trajectories import TeacherSpec

CHANGES: list[dict[str, Any]] = [
    {"backbone": "other"},
    {"backbone_fingerprint": "beef" * 16},
    {"process": {"name": "absorbing", "eps": 0.1}},
    {"method": "exact"},
    {"law_version": 2},
    {"steps": 4, "time_grid": "uniform"},
    {"steps": 4, "time_grid": "cosine"},
    {"dtype": "bfloat16"},
    {"batch": 8},
    {"shard_rows": 6},
    {"length": 8},
    {"num_tokens": 12},
    {"seed": 4},
]


def test_hash_is_a_function_of_the_content(make_spec: Callable[..., TeacherSpec]) -> None:
    spec = make_spec(process={"a": 1, "b": 2.5})
    again = TeacherSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.hash == make_spec(process={"b": 2.5, "a": 1}).hash == spec.hash
    assert len({make_spec().hash, *(make_spec(**change).hash for change in CHANGES)}) == len(CHANGES) + 1


def test_frozen_process_does_not_follow_the_dict_it_came_from(make_spec: Callable[..., TeacherSpec]) -> None:
    process = {"name": "absorbing"}
    spec = make_spec(process=process)
    before = spec.hash
    process["name"] = "uniform"
    assert spec.hash == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch", 0),
        ("length", True),
        ("steps", 0),
        ("seed", -1),
        ("dtype", "int8"),
        ("backbone", "../up"),
        ("backbone", ".hidden"),
        ("time_grid", "uniform"),
        ("schema_version", 2),
    ],
)
def test_bad_field_is_named_with_its_value(
    make_spec: Callable[..., TeacherSpec], field: str, value: Any
) -> None:
    with pytest.raises(InputError, match=f"teacher.{field} must .*{value}"):
        make_spec(**{field: value})


def test_unknown_and_missing_fields_are_named(make_spec: Callable[..., TeacherSpec]) -> None:
    data = make_spec().to_dict()
    del data["seed"]
    with pytest.raises(InputError, match=r"'unknown': \['sead'\], 'missing': \['seed'\]"):
        TeacherSpec.from_dict(data | {"sead": 1})
    with pytest.raises(InputError, match=r"'missing': \['seed'\]"):
        TeacherSpec.from_dict(data)
    with pytest.raises(InputError, match=r"'unknown': \['sead'\]"):
        TeacherSpec.from_dict(make_spec().to_dict() | {"sead": 1})


def test_shards_tile_the_trajectories(make_spec: Callable[..., TeacherSpec]) -> None:
    spec = make_spec(shard_rows=5)
    assert [spec.num_shards(n) for n in (1, 5, 6, 10, 11)] == [1, 1, 2, 2, 3]
    assert [row for shard in range(3) for row in spec.rows(shard)] == list(range(15))
