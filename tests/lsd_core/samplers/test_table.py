"""A step table is validated once, and survives its own record."""

import math
from itertools import pairwise

import pytest

from lsd_core.errors import InputError
from lsd_core.samplers.catalog import SAMPLERS, get_sampler, num_steps
from lsd_core.samplers.loop import generate
from lsd_core.samplers.step import steps_of, time_of_count
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times, uniform_times
from tests.lsd_core.oracles import exact_backbone, joint_law

WRONG = [
    ({}, "table must have either times or counts"),
    ({"times": (1.0, 0.0), "counts": (3, 0)}, "table must have either times or counts"),
    ({"times": (1.0,)}, "table.times must have at least 2 entries"),
    ({"times": (1.0, 0.2, 0.5, 0.0)}, "table.times must be strictly decreasing"),
    ({"times": (1.0, 0.5, 0.5, 0.0)}, "table.times must be strictly decreasing"),
    ({"times": (1.0, 0.5)}, "table.times must end at 0"),
    ({"times": (0.9, 0.0)}, "table.times must start at 1"),
    ({"times": (1.0, math.nan, 0.0)}, "table.times must be finite"),
    ({"counts": (3, True, 0)}, "table.counts must be integers"),  # a float may stop at the annotation
    ({"counts": (3, 3, 0)}, "table.counts must be strictly decreasing"),
    ({"times": (1.0, 0.0), "gains": (1.0, 1.0)}, "table.gains must have 1 entries"),
    ({"times": (1.0, 0.0), "gains": (0.0,)}, "table.gains must be positive"),
    ({"times": (1.0, 0.0), "gains": (-1.0,)}, "table.gains must be positive"),
    ({"times": (1.0, 0.0), "gains": (math.inf,)}, "table.gains must be positive and finite"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_wrong_table_names_field_and_rule(fields, message: str) -> None:
    with pytest.raises(InputError, match="^" + message.replace(".", r"\.")):
        StepTable(**fields)


def test_a_table_survives_its_record() -> None:
    for table in (
        uniform_times(5),
        cosine_times(4).with_gains((0.3, 1.0, 2.0, 1 / 3)),
        StepTable(counts=(9, 4, 0), gains=(2.0, 1.0), gain_on="score"),
    ):
        assert StepTable.from_dict(table.to_dict()) == table
    with pytest.raises(InputError, match="extra"):
        StepTable.from_dict({"times": [1, 0], "gains": [1], "extra": 0})


def test_an_absent_gain_is_one() -> None:
    assert uniform_times(3).gains == (1.0, 1.0, 1.0)
    assert uniform_times(3).with_gains(2).gains == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("length", [3, 8, 64])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_counts_follow_times_and_reveal_something_every_step(length: int, steps: int) -> None:
    for table in (uniform_times(steps), cosine_times(steps)):
        counts = counts_from_times(table, length).counts
        assert counts is not None
        assert table.times is not None
        assert (counts[0], counts[-1], len(counts)) == (length, 0, steps + 1)
        assert all(left > right for left, right in pairwise(counts))
        if length == 64:
            assert all(abs(n - length * t) <= 0.5 for n, t in zip(counts, table.times, strict=True))
    with pytest.raises(InputError, match="nfe must be at most the length"):
        counts_from_times(uniform_times(length + 1), length)


def test_steps_walk_the_table_and_time_of_count_starts_at_one() -> None:
    steps = list(steps_of(StepTable(counts=(7, 3, 0), gains=(2.0, 1.0)), 7))
    assert [(step.index, step.t, step.s, step.gain, step.counts, step.last) for step in steps] == [
        (0, 1.0, 3 / 8, 2.0, (7, 3), False),
        (1, 3 / 8, 0.0, 1.0, (3, 0), True),
    ]
    times = [time_of_count(n, 7) for n in range(8)]
    assert times == sorted(times)
    assert (times[0], times[7]) == (0.0, 1.0)


def test_a_budget_pays_for_whole_steps() -> None:
    process = exact_backbone(joint_law(0, 2, 2, 1.0)).process
    masked = {name: each for name, each in SAMPLERS.items() if "absorbing" in each.processes}
    for name, sampler in masked.items():
        for nfe in (sampler.calls_per_step, 7, 8):
            steps = num_steps(name, nfe, process)
            assert steps * sampler.calls_per_step <= nfe < (steps + 1) * sampler.calls_per_step
    for wrong in (0, -1, True):
        with pytest.raises(InputError, match="nfe must be an integer >= 1"):
            num_steps("euler", wrong, process)
    with pytest.raises(InputError, match="euler"):
        get_sampler("eular", process)


def test_a_table_of_counts_must_begin_at_the_length() -> None:
    backbone = exact_backbone(joint_law(0, 2, 2, 1.0))
    with pytest.raises(InputError, match=r"table\.counts must start at the length 2"):
        generate(backbone, "fixed_counts", StepTable(counts=(3, 0)), 4, seed=0)
    with pytest.raises(InputError, match="num_samples must be an integer >= 1"):
        generate(backbone, "euler", uniform_times(2), 0, seed=0)
