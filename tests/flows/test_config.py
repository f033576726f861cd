"""A grid is checked before any work: each wrong input names its field, rule and value."""

from pathlib import Path

import pytest

from flows.config import GridConfig, grid_names, load_grid, parse_grid
from flows.pipeline.costs import plan_cost
from flows.pipeline.plan import make_plan
from lsd_core.backbones import storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError


@pytest.mark.parametrize(
    "name", ["tiny", "demo", "countdown", "countdown-256", "countdown-exact", "countdown-noisy"]
)
def test_every_ready_grid_parses(name: str) -> None:
    assert name in grid_names()
    assert load_grid(name).name == name


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"nfe": [0]}, ["nfe", ">= 1", "0"]),
        ({"nfe": [2.5]}, ["nfe", "integer", "2.5"]),
        ({"samplers": ["ruler"]}, ["sampler", "euler", "tweedie", "ruler"]),
        ({"backbones": ["countup"]}, ["backbone", "countdown-exact", "countup"]),
        ({"methods": ["magic"]}, ["method", "lsd", "plain", "magic"]),
        ({"method_configs": {"lsd": {"epocs": 3}}}, ["lsd", "epochs", "epocs"]),
        ({"samplers": ["halton"], "nfe": [100]}, ["nfe", "64", "halton", "100"]),
        ({"samplers": ["halton"], "methods": ["lsd"]}, ["sampler", "euler", "lsd", "halton"]),
        ({"samplers": ["balanced_split"], "methods": ["path_kl"]}, ["sampler", "once a step", "balanced"]),
        ({"colour": "red"}, ["colour", "nfe"]),
        ({"teacher.steps": 8}, ["teacher.steps", "exact", "8"]),
        ({"teacher.shard_rows": 15}, ["shard_rows", "multiple", "15"]),
        ({"evaluation.temperatures": [-1.0]}, ["temperatures", "positive", "-1"]),
    ],
)
def test_wrong_input_is_named(overrides: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(load_grid("tiny", **overrides))
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_grid_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="tiny"):
        load_grid("huge")


def test_a_grid_from_a_file_and_overrides_that_reach_into_sections(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nbackbones: [countdown-exact]\nnfe: [4]\n")
    config = load_grid(str(file), **{"evaluation.samples": 7, "nfe": [2, 2, 4], "store": None})
    assert (config.name, config.evaluation.samples, config.nfe, config.store) == ("mine", 7, [2, 4], None)


def test_a_method_fills_the_cells_that_it_can() -> None:
    """LSD aligns states at equal times with a teacher of uniform order, so it leaves Halton order to others."""
    for methods in (["plain", "lsd", "path_kl"], ["all"]):
        plan = make_plan(load_grid("tiny", samplers=["euler", "halton"], methods=methods, method_configs={}))
        filled = {(spec.sampler, spec.method) for spec in plan.candidates}
        assert {("euler", "plain"), ("halton", "plain"), ("euler", "lsd"), ("halton", "path_kl")} <= filled
        assert ("halton", "lsd") not in filled
    alone = make_plan(load_grid("tiny", samplers=["halton"], methods=["all"], method_configs={}))
    assert {"lsd", "lsd_plus"}.isdisjoint(spec.method for spec in alone.candidates)


def test_equal_laws_are_computed_once_and_filed_under_both_names() -> None:
    plan = make_plan(load_grid("tiny"))
    assert {spec.sampler for spec in plan.candidates} == {"euler", "tweedie"}
    assert {spec.sampler for spec in plan.work} == {"euler"}
    assert len({spec.key for spec in plan.candidates}) == len(plan.candidates) == 2 * len(plan.work)
    assert plan_cost(plan, rate=1.0).candidates == len(plan.candidates)


def test_a_candidate_survives_the_way_to_a_worker_and_its_key_feels_every_setting() -> None:
    from lsd_core.candidates import CandidateSpec

    plan = make_plan(load_grid("tiny"))
    assert all(CandidateSpec.from_dict(spec.to_dict()) == spec for spec in plan.candidates)
    keys = {spec.key for spec in plan.candidates}
    for change in ({"seed": 1}, {"evaluation.samples": 65}, {"teacher.seed": 1}):
        other = make_plan(load_grid("tiny", **change))
        learned = {spec.key for spec in other.candidates if spec.teacher is not None}
        assert learned
        assert not keys & learned


def test_the_default_config_is_valid() -> None:
    assert GridConfig().methods[0] == "plain"


def test_all_methods_are_those_for_each_backbones_process() -> None:
    config = parse_grid(
        {
            "backbones": ["countdown-exact", "countdown-uniform-exact"],
            "methods": ["all"],
            "samplers": ["tweedie"],
        }
    )
    filled: dict[str, set[str]] = {spec.backbone.name: set() for spec in make_plan(config).candidates}
    for spec in make_plan(config).candidates:
        filled[spec.backbone.name].add(spec.method)
    # which are for orders of combs, and for grids with conditions
    assert filled["countdown-exact"] == set(METHODS) - {"halving", "path_kl_rescaled"}
    assert filled["countdown-uniform-exact"] == {
        "plain",
        "cosine",
        "temperature",
        "theta_trapezoidal",
        "lsd",
        "path_kl_schedule",
        "path_kl",
        "path_kl_sharp",
    }


def test_a_method_for_another_process_is_refused_with_those_that_fit() -> None:
    config = parse_grid(
        {"backbones": ["countdown-uniform-exact"], "methods": ["jys"], "samplers": ["tweedie"]}
    )
    with pytest.raises(
        InputError, match=r"method must be for the process.*uniform, got jys; choose among plain, "
    ):
        make_plan(config)


def test_two_backbones_of_one_name_or_one_backbone_twice_are_refused(tmp_path: Path) -> None:
    """They would share aliases, verdicts and a page."""
    for pair in (
        ["countdown", "countdown?body_dtype=float32"],
        ["countdown", copy_of("countdown", tmp_path)],
    ):
        with pytest.raises(
            InputError, match=r"grid\.backbones must be different networks with names of their own"
        ):
            make_plan(load_grid("tiny", backbones=pair))


def copy_of(name: str, folder: Path) -> str:
    """A weight file of our own with the tensors and the name of a shipped backbone."""
    file = folder / "elsewhere.safetensors"
    file.write_bytes(storage.to_bytes(load_backbone(name)))
    return str(file)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{lsd: {learning_rate: fast}}", ["lsd.learning_rate", "valid number", "fast", "0.01"]),
        ("{lsd: {epochs: 2.5}}", ["lsd.epochs", "valid integer", "2.5"]),
        ("{path_kl: {candidates: [2.0]}}", ["candidates", "1 among them", "2.0"]),
        ("{magic: {epochs: 3}}", ["method", "path_kl", "magic"]),
    ],
)
def test_settings_of_methods_are_checked_by_their_own_dataclass(
    tmp_path: Path, settings: str, words: list[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\nbackbones: [countdown-exact]\nmethod_configs: {settings}\n")
    with pytest.raises(InputError) as caught:
        load_grid(str(file))
    for word in words:
        assert word in str(caught.value)


def test_a_learning_rate_in_scientific_notation_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "backbones: [countdown-exact]\nmethods: [lsd]\nmethod_configs: {lsd: {learning_rate: 1e-2}}\n"
    )
    specs = make_plan(load_grid(str(file))).candidates
    (rate,) = {spec.method_config["learning_rate"] for spec in specs if spec.method == "lsd"}
    assert rate == 0.01
    assert isinstance(rate, float)


def test_the_form_shows_the_settings_of_every_method() -> None:
    forms = GridConfig.model_json_schema()["properties"]["method_configs"]["properties"]
    assert list(forms) == list(METHODS)
    sharpness = forms["path_kl"]["properties"]["sharpness"]
    assert (sharpness["type"], sharpness["default"]) == ("number", 1.0)
    assert "Exponent" in sharpness["description"]


def test_a_grid_names_the_task_of_a_backbone_that_declares_none(tmp_path: Path) -> None:
    shipped = load_backbone("countdown-exact")
    file = tmp_path / "foreign.safetensors"
    file.write_bytes(storage.to_bytes(MarkovExact("foreign", shipped.config, shipped.tensors())))
    for asked, task in ((None, "sequences"), ("countdown", "countdown")):
        plan = make_plan(load_grid("tiny", backbones=[str(file)], task=asked))
        assert {spec.evaluation.task for spec in plan.candidates} == {task}
    with pytest.raises(InputError, match=r"task must be one of \['countdown', 'text'.*got mazes"):
        make_plan(load_grid("tiny", task="mazes"))
