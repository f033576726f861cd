"""The grids of text and digits plan from what ships: the right judge, every backbone, sizes said."""

from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import evaluation_spec, make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.storage import build
from lsd_core.errors import InputError
from lsd_core.samplers import SAMPLERS
from tests.lsd_core.backbones.antibody_package import write_package

TASKS = {"text": "text", "text-full": "text", "digits": "digits", "digits-full": "digits"}


@pytest.mark.parametrize("name", list(TASKS))
def test_a_ready_grid_plans(name: str) -> None:
    config = load_grid(name)
    plan = make_plan(config)
    assert {spec.evaluation.task for spec in plan.candidates} == {TASKS[name]}
    assert {spec.backbone.name for spec in plan.candidates} == set(config.backbones)
    assert {spec.nfe for spec in plan.candidates} == set(config.nfe)
    assert ("Demo sizes" in config.sizes) == (not name.endswith("-full"))
    reported = config.evaluation.samples * config.evaluation.seeds
    assert reported >= (3 * 1024 if name.endswith("-full") else 256)


@pytest.mark.parametrize("name", ["antibody", "antibody-full"])
def test_the_antibody_grids_need_their_package_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_backbone.cache_clear()
    monkeypatch.setattr("lsd_core.backbones.antibody.PACKAGE", "antiberty_of_nobody")
    with pytest.raises(InputError, match=r"find the package antiberty_of_nobody, got none.*\[antibody\]"):
        make_plan(load_grid(name))
    monkeypatch.setattr("lsd_core.backbones.antibody.PACKAGE", "antiberty")
    write_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plan = make_plan(load_grid(name))
    load_backbone.cache_clear()
    assert {spec.evaluation.task for spec in plan.candidates} == {"antibody"}
    assert {(spec.nfe, spec.length) for spec in plan.candidates} == {(nfe, 120) for nfe in (4, 8, 16, 32)}
    assert ("Demo sizes" in plan.config.sizes) == (name == "antibody")
    adaptive = {spec.sampler for spec in plan.candidates if SAMPLERS[spec.sampler].adaptive}
    assert adaptive >= {"confidence_drawn"}


def test_a_backbone_that_writes_otherwise_is_refused_before_work() -> None:
    shipped = load_backbone("text-radd")
    tokens = list(shipped.config["vocabulary"]["tokens"])
    other = {"vocabulary": {"tokens": [*tokens[1:], "Q"], "separator": ""}}
    renamed = build("mine", shipped.config | other, shipped.tensors())
    evaluation = load_grid("text").evaluation
    assert evaluation_spec(evaluation, build("mine", shipped.config, shipped.tensors())).task == "text"
    with pytest.raises(InputError, match="vocabulary of the backbone"):
        evaluation_spec(evaluation, renamed)
    silent = {key: value for key, value in shipped.config.items() if key != "task"}
    assert evaluation_spec(evaluation, build("mine", silent, shipped.tensors())).task == "sequences"
