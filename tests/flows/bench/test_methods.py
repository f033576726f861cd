"""Learning methods are compared by what they send through the network, counted as cards count it."""

import pytest

from flows.bench import methods, run
from flows.bench.figures import Setting
from lsd_core.backbones.metered import Metered
from lsd_core.candidates.work import learn

SMALL = {
    "path_kl": {"price_sequences": 16, "gain_paths": 2, "candidates": [1.0, 1.5]},
    "lsd": {"epochs": 2, "paths_per_epoch": 4},
    "lsd_plus": {"epochs": 2, "paths_per_epoch": 4},
    "jys": {"paths": 4, "iterations": 1},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "SIZES", SMALL)
    monkeypatch.setattr(methods, "TRAJECTORIES", 8)
    monkeypatch.setattr(methods, "NFE", 4)


def test_every_method_has_a_figure_on_both_kinds_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"path_kl": 2.0, "lsd": 3.0, "lsd_plus": 8.0, "jys": 1.0}
    monkeypatch.setattr(methods, "problems", lambda name: ({method: method for method in SMALL}, None, None))
    monkeypatch.setattr(methods, "a_sequence", lambda method, backbone, paths: seconds[method])
    [(question, title, figures)] = run.ask(["methods"], Setting(rounds=2))
    assert question == "methods"
    assert title
    assert [figure.case.split(":")[0] for figure in figures] == 3 * ["countdown, NFE 4"] + 3 * [
        "countdown-radd, NFE 4"
    ]
    assert [figure.value for figure in figures] == 2 * [1.5, 4.0, 0.5]
    assert [figure.met for figure in figures] == 2 * [True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.NETWORKS)
def test_a_method_counts_the_sequences_that_the_network_is_given(name: str) -> None:
    specs, backbone, paths = methods.problems(name)
    assert set(specs) == set(SMALL)
    for spec in specs.values():
        metered = Metered(backbone)
        assert learn(spec, 0, metered, paths).sequences == metered.meter.sequences > 0
    assert methods.a_sequence(specs["jys"], backbone, paths) > 0
