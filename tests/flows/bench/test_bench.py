"""Every question can be asked and answered; ratios are what they say; wrong input is refused before work."""

import json
import time

import pytest
import torch

from flows.bench import cases, run
from flows.bench.figures import Figure, Setting, table_of, to_json
from flows.bench.replay import Replay
from flows.bench.shapes import SHAPES, random_backbone
from flows.bench.timing import Race, Spread
from flows.cli import main
from lsd_core.backbones.metered import Metered
from lsd_core.samplers.loop import run_chains
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import uniform_times

SETTING = Setting(shape="countdown", rounds=1, batch=2)


def busy(units: int) -> None:
    end = time.process_time() + 0.004 * units
    while time.process_time() < end:
        pass


def test_a_race_tells_ratios_and_differences() -> None:
    race = Race({"one": lambda: busy(1), "three": lambda: busy(3), "four": lambda: busy(4)}, 5, "cpu")
    assert race.ratio("three", "one").median == pytest.approx(3, rel=0.3)
    assert race.ratio("four", "one", minus="three").median == pytest.approx(1, rel=0.5)
    assert race.ratio("three", "one").inverse(6).median == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("question", ["step", "launches", "whole", "learned", "teacher", "pricing"])
def test_every_question_has_figures(question: str) -> None:
    [(_, title, figures)] = list(run.ask([question], SETTING))
    assert title
    assert len({figure.case for figure in figures}) == len(figures) > 0
    assert all(figure.low <= figure.value <= figure.high for figure in figures)
    table_of(question, title, figures)
    assert len(json.loads(to_json(SETTING, figures, {}))["figures"]) == len(figures)


def test_targets_are_met_or_missed_at_the_shape_they_were_set_for() -> None:
    assert Setting().judged(at_most=0.1) == {"at_most": 0.1}
    assert SETTING.judged(at_most=0.1) == {}
    spread = Spread.of([0.3, 0.1, 0.2])
    assert (spread.median, spread.low, spread.high) == (0.2, 0.1, 0.3)
    assert Figure.of("q", "c", spread, "u", at_most=0.2).met
    assert Figure.of("q", "c", spread, "u", at_most=0.1).met is False
    assert Figure.of("q", "c", spread, "u", at_least=0.3).met is False
    assert Figure.of("q", "c", spread, "u").met is None


@torch.inference_mode()
def test_a_replayed_step_is_the_step_without_its_network() -> None:
    backbone = random_backbone(SHAPES["countdown"], "sedd")
    replay = Replay(backbone)
    first = cases.runner(replay, cases.Case(masked=0.5), SETTING)().x
    backbone.network.output_layer.linear.weight.zero_()  # nobody looks there again
    assert torch.equal(cases.runner(replay, cases.Case(masked=0.5), SETTING)().x, first)


@torch.inference_mode()
def test_a_metered_network_counts_its_sequences_and_changes_nothing() -> None:
    backbone = random_backbone(SHAPES["countdown"], "sedd")
    metered, draws = Metered(backbone), Draws(0, torch.arange(3))
    table = uniform_times(4)
    assert torch.equal(
        run_chains(metered, "euler", table, draws).x, run_chains(backbone, "euler", table, draws).x
    )
    assert metered.meter.sequences == 12
    assert metered.meter.cpu_s > 0
    assert metered.fingerprint == backbone.fingerprint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speed"], "question must be one of step, launches"),
        (["--shape", "huge"], "shape must be one of sedd-small"),
        (["--rounds", "0"], "rounds must be >= 1"),
        (["--body", "int8"], "body must be float32 or bfloat16"),
        (["--device", "tpu"], "device must be cpu or cuda"),
    ],
)
def test_wrong_input_ends_before_work(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["bench", *arguments])
    assert exit_info.value.code == 2
    assert said in capsys.readouterr().err
