"""Tables that hold a threshold for each step: they replace the sampler's own, and other samplers refuse them."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.samplers.conditional import rescaled
from lsd_core.samplers.entropy_bound import EntropyBound
from lsd_core.samplers.klass import Klass
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.samplers.threshold import Threshold
from tests.lsd_core.oracles import misfit_backbone

LENGTH = 5
BACKBONE = misfit_backbone(1, 3, LENGTH)
COUNTS = (5, 4, 2, 0)


def drawn(sampler, table: StepTable) -> list[list[int]]:
    draws = Draws(3, torch.arange(100))
    state = start(BACKBONE, draws)
    for step in steps_of(table, LENGTH):
        state = sampler.step(BACKBONE, state, step, draws)
    return state.x.tolist()


@pytest.mark.parametrize(
    ("default", "other", "threshold"),
    [
        (EntropyBound(), EntropyBound(1.3), 1.3),
        (Threshold(), Threshold(0.5), 0.5),
        (Klass(eps=0.5), Klass(0.5, 0.5), 0.5),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_tables_threshold_takes_the_place_of_the_samplers_own(default, other, threshold: float) -> None:
    plain, held = StepTable(counts=COUNTS), StepTable(counts=COUNTS, thresholds=(threshold,) * 3)
    assert drawn(default, held) == drawn(other, plain)
    assert drawn(default, held) != drawn(default, plain)


def test_a_table_with_thresholds_is_read_back_and_cooled_and_cut() -> None:
    table = StepTable(counts=COUNTS, thresholds=(0.1, 0.2, 0.3))
    assert StepTable.from_dict(table.to_dict()) == table
    assert "thresholds" not in StepTable(counts=COUNTS).to_dict()
    assert table.with_gains(1.5).thresholds == table.thresholds
    assert rescaled(table, 2) == StepTable(counts=(2, 1, 0), thresholds=(0.2, 0.3))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: StepTable(counts=COUNTS, thresholds=(0.1, 0.2)),
        lambda: StepTable(counts=COUNTS, thresholds=(0.1, 0.2, -1.0)),
        lambda: StepTable(counts=COUNTS, thresholds=(0.1, 0.2, float("nan"))),
        lambda: StepTable(times=uniform_times(3).times, thresholds=(0.1, 0.2, 0.3)),
        lambda: generate(
            BACKBONE, "confidence", StepTable(counts=COUNTS, thresholds=(0.1, 0.2, 0.3)), 2, seed=0
        ),
    ],
)
def test_wrong_thresholds_are_refused(wrong) -> None:
    with pytest.raises(InputError, match=r"table\.thresholds"):
        wrong()
