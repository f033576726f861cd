"""The form of a deployment offers what is known as choices, and accepts all that the command line accepts."""

from importlib import import_module
from typing import Any

import pytest
import yaml
from prefect.utilities.schema_tools.validation import validate

from flows.config import GRIDS, GridConfig, grid_names, load_grid
from lsd_core.backbones.catalog import BACKBONES
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.metrics.extra import METRICS
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.tasks.catalog import TASKS


@pytest.fixture(scope="module", params=["flows.distill_grid:lsd", "flows.teacher:teacher"])
def form(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The schema of parameters that the server shows as a form and holds a run's parameters to."""
    module, _, name = request.param.partition(":")
    schema: dict[str, Any] = getattr(import_module(module), name).parameters.model_dump()
    return schema


def enumerated(schema: dict[str, Any]) -> list[str]:
    """The names that a field offers, wherever its alternatives have them."""
    [found] = [each["enum"] for each in (schema, *schema.get("anyOf", ())) if "enum" in each]
    return list(found)


def test_known_names_are_choices(form: dict[str, Any]) -> None:
    assert enumerated(form["properties"]["config"]) == grid_names()
    grid, teacher, evaluation = (
        form["definitions"][name]["properties"]
        for name in ("GridConfig", "TeacherConfig", "EvaluationConfig")
    )
    assert enumerated(grid["samplers"]["items"]) == list(SAMPLERS)
    assert enumerated(grid["methods"]["items"]) == [*METHODS, "all"]
    assert enumerated(grid["task"]) == list(TASKS)
    assert enumerated(grid["backbones"]["items"]) == list(BACKBONES)
    assert enumerated(evaluation["metrics"]["items"]) == list(METRICS)
    assert enumerated(teacher["method"]) == ["exact", "data", *SAMPLERS]


@pytest.mark.parametrize("name", grid_names())
def test_a_ready_grid_is_accepted_by_its_name_and_by_its_settings(form: dict[str, Any], name: str) -> None:
    for config in (name, yaml.safe_load((GRIDS / f"{name}.yaml").read_text())):
        assert validate({"config": config}, form) == []
        assert GridConfig.model_validate(config) == load_grid(name)


def test_the_form_refuses_unknown_names_and_takes_other_addresses(form: dict[str, Any]) -> None:
    wrong_settings = ({"samplers": ["ruler"]}, {"methods": ["magic"]}, {"task": "mazes"}, {"colour": "red"})
    for wrong in (*wrong_settings, "huge"):
        assert validate({"config": wrong}, form)
    others = {
        "backbones": ["hf://OWNER/NAME", "folder"],
        "evaluation": {"metrics": ["fid:WEIGHTS:REFERENCE"]},
    }
    assert validate({"config": others}, form) == []


@pytest.mark.parametrize("name", ["huge", "../flows/grids/tiny.yaml", "tiny.yaml"])
def test_another_name_is_refused_with_those_that_are_ready(name: str) -> None:
    with pytest.raises(ValueError, match=r"grid must be one of antibody, .* got") as refusal:
        GridConfig.model_validate(name)
    assert isinstance(refusal.value.errors()[0]["ctx"]["error"], InputError)  # type: ignore[attr-defined]
