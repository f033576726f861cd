"""prefect.yaml deploys flows that exist, with parameters that their form accepts."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from flows.config import GridConfig
from flows.pipeline.plan import make_plan

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_the_deployments_have_the_names_people_type() -> None:
    names = {(d["name"], d["entrypoint"].rsplit(":", 1)[1]) for d in DEPLOYMENTS}
    assert names == {("distill-grid", "lsd"), ("teacher", "teacher")}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_entrypoints_are_flows_and_parameters_plan(deployment: dict) -> None:
    file, function = deployment["entrypoint"].rsplit(":", 1)
    assert (ROOT / file).is_file()
    flow = getattr(import_module(file.removesuffix(".py").replace("/", ".")), function)
    assert flow.name == function
    assert (flow.persist_result, flow.result_serializer) == (False, "json")
    assert set(deployment["parameters"]) <= set(flow.parameters.properties)
    plan = make_plan(GridConfig.model_validate(deployment["parameters"]["config"]))
    assert plan.candidates


def test_the_nightly_schedule_is_there_and_paused() -> None:
    grid = next(d for d in DEPLOYMENTS if d["name"] == "distill-grid")
    assert [schedule["active"] for schedule in grid["schedules"]] == [False]
