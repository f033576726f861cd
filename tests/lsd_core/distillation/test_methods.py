"""Methods by name: what they are, their settings as JSON, and the controls' tables."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from lsd_core.distillation.controls import cosine, plain, temperature, theta_trapezoidal
from lsd_core.distillation.learned import Problem
from lsd_core.distillation.methods import BASELINE, METHODS, TEMPERATURE, get_method, method_names
from lsd_core.errors import InputError
from lsd_core.processes import Gaussian, Uniform
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.distillation.chains import exact_paths, problem, strong_chain


def control_problem(sampler="euler", num_steps=3) -> Problem:
    return problem(strong_chain(), None, num_steps, sampler=sampler)


def test_controls_tables():
    assert plain("euler", 4, 8).times == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert plain("fixed_counts", 4, 8).counts == (8, 6, 4, 2, 0)
    assert cosine("euler", 2, 8).times == pytest.approx((1.0, math.cos(math.pi / 4), 0.0))
    assert cosine("fixed_counts", 2, 8).counts == (8, 6, 0)
    cooled = temperature("euler", 2, 8, temperature=0.5)
    assert cooled == StepTable(times=(1.0, 0.5, 0.0), gains=(2.0, 2.0), gain_on="log_score")
    assert theta_trapezoidal(2) == uniform_times(2)


def test_controls_learn_nothing_and_need_no_trajectories():
    for name in ("plain", "cosine", "temperature"):
        method = get_method(name)
        learned = method.fit(control_problem(), method.config({}))
        assert (learned.sequences, learned.table.num_steps) == (0, 3)
        assert not method.learned
    cold = get_method("temperature")
    assert cold.fit(control_problem(), cold.config({"temperature": 0.8})).table.gains == (1.25,) * 3
    assert get_method("temperature").fit(control_problem(), cold.config({})).table == uniform_times(3)


def test_learned_methods_learn_through_the_registry():
    backbone = strong_chain()
    for name in ("lsd", "lsd_plus", "lsd_plus_literal"):
        method = get_method(name)
        assert method.learned
        config = method.config({"epochs": 1, "gain_bounds": [0.5, 2.0]})
        learned = method.fit(problem(backbone, exact_paths(backbone, 16), 2), config)
        assert learned.sequences > 0
        assert learned.table.gains != (1.0, 1.0)
    target = learned.diagnostics["target"]
    assert target == "one teacher step"


@pytest.mark.parametrize(
    ("name", "settings", "length"),
    [
        ("lsd", {"epochs": 3, "paths_per_epoch": 16}, 3),
        ("lsd_plus", {"epochs": 2, "paths_per_epoch": 16}, 2),
        ("jys", {"paths": 8, "iterations": 2}, 3),
        ("path_kl", {"gain_paths": 8, "candidates": [1.0, 1.5]}, 4),
    ],
)
def test_whoever_watches_a_method_learn_sees_its_history_grow_and_changes_nothing(name, settings, length):
    backbone, method, seen = strong_chain(), get_method(name), []
    paths, config = exact_paths(backbone, 16), method.config(settings)
    watched = method.fit(problem(backbone, paths, 4, watch=lambda *entry: seen.append(entry)), config)
    assert watched == method.fit(problem(backbone, paths, 4), config)
    assert [step for step, _ in seen] == list(range(length))
    for series in seen[0][1]:
        assert [values[series] for _, values in seen] == watched.history[series]


def test_settings_survive_json():
    method = get_method("lsd")
    config = method.config({"epochs": 3, "gain_bounds": [0.5, 2.0]})
    settings = json.loads(json.dumps(method.settings(config)))
    assert settings["gain_bounds"] == [0.5, 2.0]
    assert settings["learning_rate"] == 0.01  # complete, defaults included
    assert method.config(settings) == config


def test_names():
    names = method_names()
    assert names[0] == BASELINE
    assert {"cosine", TEMPERATURE, "lsd", "lsd_plus", "lsd_plus_literal"} <= set(names)
    controls = {name for name in names if not METHODS[name].learned}
    assert {name for name in names if METHODS[name].sweep} == controls - {
        TEMPERATURE
    }  # that is plain's own sweep
    assert all(METHODS[name].description for name in names)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match=r"method must be one of \['plain', 'cosine',.*'lsd'.*, got magic"):
        get_method("magic")
    with pytest.raises(InputError, match=r"setting of lsd must be one of \['epochs',.* got epoch"):
        get_method("lsd").config({"epoch": 3})
    with pytest.raises(InputError, match="setting of plain must not be given: there is nothing to set"):
        get_method("plain").config({"epochs": 3})
    with pytest.raises(InputError, match="temperature must be positive"):
        get_method("temperature").config({"temperature": 0.0})


def test_a_method_without_its_module_or_sampler_is_not_offered(monkeypatch):
    method = get_method("lsd")
    assert method.available
    assert not replace(method, own_sampler="no_such_sampler").available
    monkeypatch.setitem(METHODS._made, "lsd", replace(method, own_sampler="no_such_sampler"))
    assert "lsd" not in method_names()
    with pytest.raises(InputError, match="must be one of"):
        get_method("no_such_method")


@pytest.mark.slow
def test_a_method_is_imported_when_it_is_first_used():
    code = """if True:
        import sys
        from lsd_core.distillation.methods import METHODS, get_method
        assert "lsd" in list(METHODS)
        assert "lsd_core.distillation.lsd" not in sys.modules
        get_method("lsd").config({})
        assert "lsd_core.distillation.lsd" in sys.modules
        assert "lsd_core.distillation.lsd_plus" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"learning_rate": "1e-2"},
            "setting of lsd.learning_rate must be a valid number, got 1e-2; the default is",
        ),
        ({"epochs": 2.5}, "setting of lsd.epochs must be a valid integer"),
        (
            {"epochs": True},
            "setting of lsd.epochs must be a valid integer, got True; the default is epochs: 20",
        ),
        ({"epochs": 0}, "lsd.epochs must be an integer >= 1, got 0"),
        ({"distance": "l3"}, "setting of lsd.distance must be 'l2' or 'kl', got l3"),
        ({"gain_bounds": [0.5, "x"]}, "setting of lsd.gain_bounds.1 must be a valid number, got x"),
        ({"zeta": [1]}, "setting of lsd.zeta must be a valid number"),
        ({"gain_bounds": {1, 2}}, "settings of lsd must be plain data"),
    ],
)
def test_settings_are_typed(settings, message):
    with pytest.raises(InputError) as caught:
        get_method("lsd").config(settings)
    assert message in str(caught.value)


def test_a_number_keeps_the_text_under_which_it_was_filed():
    method = get_method("path_kl")
    given = {"candidates": [1, 1.5], "sharpness": 2}
    written = method.settings(method.config(given), given)
    assert json.dumps([written["candidates"], written["sharpness"]]) == "[[1, 1.5], 2]"
    assert (method.config(written).candidates, method.config(written).sharpness) == ((1.0, 1.5), 2.0)


def test_every_method_is_called_what_it_is_listed_as():
    assert [method.name for _, method in METHODS.items()] == list(METHODS)


@pytest.mark.parametrize("process", [Uniform(3), Gaussian(3)], ids=lambda process: process.kind)
@pytest.mark.parametrize("name", ["lsd", "path_kl", "path_kl_schedule", "path_kl_sharp"])
def test_where_there_is_no_mask_what_is_learned_wants_steps_of_one_call(name, process):
    method = get_method(name)
    assert method.serves("tweedie", process, {})
    assert not any(method.serves(sampler, process, {}) for sampler in ("psi", "gibbs", "theta_trapezoidal"))
    assert get_method("plain").serves("psi", process, {})
    with pytest.raises(InputError, match=rf"sampler must be one of \[.*'tweedie'.*\] for {name} on the"):
        method.check_sampler("gibbs", process, method.config({}))
