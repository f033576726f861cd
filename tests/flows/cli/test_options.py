"""Options are generated from the configs, and every option and short form of earlier versions still works."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from flows.cli import app
from flows.cli.grid import grid, plan, submit, teacher
from flows.cli.options import options_of
from flows.cli.study import study
from flows.config import ConditionsConfig, EvaluationConfig, GridConfig, TeacherConfig
from lsd_core.errors import InputError

SECTIONS = {"teacher": TeacherConfig, "evaluation": EvaluationConfig, "conditions": ConditionsConfig}
CELLS = "--nfe 4 8 --methods plain lsd --samplers euler --backbones a b --store s"
CELLS_GIVEN = {
    "nfe": [4, 8],
    "methods": ["plain", "lsd"],
    "samplers": ["euler"],
    "backbones": ["a", "b"],
    "store": "s",
}


def parsed(line: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(command, fields of the config, other options) of a command line."""
    command, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    fields = {name.replace("__", "."): value for name, value in bound.arguments.items()}
    parameters = inspect.signature(command).parameters
    known = {name.replace("__", ".") for name in parameters}
    assert set(fields) <= known
    return command.__name__, fields, dict(bound.arguments)


@pytest.mark.parametrize(
    ("line", "command", "given"),
    [
        (
            f"grid tiny {CELLS} --samples 8 --seeds 2 --metrics distinct self_bleu --registry r --workers 3 "
            "--num-gpus 0.5 --batch 16",
            grid,
            {
                **CELLS_GIVEN,
                "evaluation.samples": 8,
                "evaluation.seeds": 2,
                "evaluation.metrics": ["distinct", "self_bleu"],
                "tracking_uri": "r",
                "workers": 3,
                "num_gpus": 0.5,
                "evaluation.batch": 16,
            },
        ),
        (
            f"plan tiny {CELLS} --samples 8 --seeds 2 --trajectories 9 --rate 2.5 --simulate --json",
            plan,
            {
                **CELLS_GIVEN,
                "evaluation.samples": 8,
                "evaluation.seeds": 2,
                "teacher.trajectories": 9,
                "rate": 2.5,
                "simulate": True,
                "json_": True,
            },
        ),
        (f"submit tiny {CELLS} --address http://a --working-dir .", submit, CELLS_GIVEN),
        (
            "teacher tiny --trajectories 8 --shard-rows 4 --store s --workers 2 --num-gpus 1",
            teacher,
            {"teacher.trajectories": 8, "teacher.shard_rows": 4, "store": "s", "workers": 2, "num_gpus": 1.0},
        ),
        (
            "study budget --list --samples 8 --seeds 2 --trajectories 9 --store s --workers 2",
            study,
            {
                "list_": True,
                "evaluation.samples": 8,
                "evaluation.seeds": 2,
                "teacher.trajectories": 9,
                "store": "s",
                "workers": 2,
            },
        ),
    ],
)
def test_options_of_earlier_versions_mean_what_they_did(
    line: str, command: Callable[..., int], given: dict[str, Any]
) -> None:
    name, fields, _ = parsed(line)
    assert name == command.__name__
    assert fields["name"] == line.split()[1]
    assert {key: fields[key] for key in given} == given


def test_every_field_that_a_command_line_can_hold_has_an_option_with_its_description() -> None:
    parameters = inspect.signature(grid).parameters
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            assert str(field.description)[:20] in str(parameters[f"{section}__{name}"])
    rest = set(GridConfig.model_fields) - {"name", "method_configs", *SECTIONS}
    assert rest <= set(parameters)


def test_a_command_gets_the_fields_that_were_set_and_no_others() -> None:
    seen: dict[str, Any] = {}

    @options_of(GridConfig)
    def command(*, given: dict[str, Any]) -> int:
        seen.update(given)
        return 0

    assert command(teacher__steps=4, store=None) == 0
    assert seen == {"teacher.steps": 4}


def test_whole_numbers_are_typed_whole() -> None:
    for line in ("grid tiny --nfe 2.5", "grid tiny --samples 1e3", "plan tiny --teacher.steps x"):
        with pytest.raises(Exception, match="must be an integer, got"):
            parsed(line)


def test_options_of_sections_reach_the_config() -> None:
    from flows.config import load_grid

    config = load_grid("tiny", **{"teacher.seed": 5, "evaluation.certificate_paths": 0})
    assert (config.teacher.seed, config.evaluation.certificate_paths, config.teacher.trajectories) == (
        5,
        0,
        32,
    )
    with pytest.raises(InputError, match=r"grid.teacher.seed must .*got -1"):
        load_grid("tiny", **{"teacher.seed": -1})
