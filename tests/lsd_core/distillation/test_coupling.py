"""On common noise a plain student reveals what its teacher does; the relaxed start changes few tokens."""

import pytest
import torch

from lsd_core.distillation.alignment import updates
from lsd_core.distillation.coupling import clocks, perturbed
from lsd_core.distillation.lsd import LSDConfig
from lsd_core.distillation.masked_alignment import begin
from lsd_core.paths.teacher_features import hidden_before
from lsd_core.processes import Absorbing
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.prediction import call
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable, counts_from_times, uniform_times
from lsd_core.trajectories.replay import state_at_step, timed
from tests.lsd_core.distillation.chains import exact_paths, problem, stepped_paths, strong_chain


def walk(backbone, trajectories, table, sampler="euler", epoch=0, **config):
    """The student's states before each step and at the end, beside the teacher's masks."""
    settings = LSDConfig(**{"zeta": 0.0} | config)
    paths, rows = timed(trajectories, seed=5), torch.arange(len(trajectories))
    task = problem(backbone, trajectories, table.num_steps, sampler=sampler)
    state, coupling = begin(task, paths, rows, epoch, settings, table)
    method, states, hidden = get_sampler(sampler, backbone.process), [], []
    for step in steps_of(table, backbone.length):
        states.append(state.x)
        hidden.append(hidden_before(paths, step))
        features, state = call(backbone, state, torch.full((len(rows),), step.t, dtype=torch.float64))
        seen = MaskedPrediction.of(backbone, state.x, features, step)
        state = state.moved(coupling.draw(method.kernel(seen, step), step), backbone)
    return [*states, state.x], hidden


def test_a_plain_student_on_common_noise_is_masked_where_an_exact_teacher_is():
    backbone = strong_chain()
    states, hidden = walk(backbone, exact_paths(backbone, 100), uniform_times(4))
    for x, masks in zip(states, hidden, strict=False):
        assert torch.equal(x == backbone.process.mask, masks)
    independent, _ = walk(backbone, exact_paths(backbone, 100), uniform_times(4), coupling="independent")
    assert not torch.equal(independent[1] == backbone.process.mask, hidden[1])


def test_a_plain_student_with_its_teachers_steps_and_noise_is_its_teacher():
    backbone = strong_chain()
    teacher = stepped_paths(backbone, 100, steps=4)
    states, _ = walk(backbone, teacher, uniform_times(4))
    for index, x in enumerate(states):
        assert torch.equal(x, state_at_step(teacher, index))


def test_on_a_grid_of_counts_the_student_reveals_in_the_teachers_order():
    backbone = strong_chain()
    table = counts_from_times(uniform_times(3), 6)
    states, hidden = walk(backbone, exact_paths(backbone, 60), table, "fixed_counts", gain_on="log_score")
    for x, masks, count in zip(states, hidden, table.counts, strict=False):
        assert torch.equal(x == backbone.process.mask, masks)
        assert (masks.sum(1) == count).all()


def test_a_clock_is_the_teachers_while_the_student_lags_and_its_own_once_it_is_ahead():
    times = (1.0, 0.75, 0.5, 0.0)
    assert clocks(times, (0.25, 1 / 3, 1.0)) == (1.0, 0.75, 0.5)
    assert clocks(times, (0.1, 0.2, 1.0)) == (1.0, 0.75, 0.5)
    assert clocks(times, (0.5, 0.2, 1.0)) == pytest.approx((1.0, 0.5, 0.4))
    assert clocks(times, (0.5, 0.0, 1.0)) == (1.0, 0.5, 0.5)


def test_students_of_their_own_noise_differ_between_epochs():
    backbone = strong_chain()
    first, second = (
        walk(backbone, exact_paths(backbone, 20), uniform_times(3), "euler", e, coupling="independent")
        for e in (0, 1)
    )
    assert not torch.equal(first[0][1], second[0][1])


@pytest.mark.parametrize("coupling", ["common", "independent"])
@pytest.mark.parametrize("gain", [0.5, 1.4])
def test_a_gained_student_reveals_with_its_own_chances_under_either_coupling(coupling, gain):
    """Behind or ahead of its teacher: after two steps a share prod (1 - gain r_k) is still masked."""
    backbone = strong_chain()
    table = StepTable(times=(1.0, 0.75, 0.5, 0.0), gains=(gain,) * 3, gain_on="score")
    states, _ = walk(backbone, exact_paths(backbone, 3000), table, coupling=coupling)
    masked = float((states[2] == backbone.process.mask).double().mean())
    assert masked == pytest.approx((1 - gain / 4) * (1 - gain / 3), abs=0.015)
    assert (states[3] != backbone.process.mask).all()


def test_the_relaxed_start_replaces_at_most_its_share_of_tokens():
    process, index = Absorbing(30), torch.arange(500)
    x = process.prior(500, 40)
    changed = perturbed(x, process, 0.1, seed=3, index=index) != x
    assert int(changed.sum(1).max()) == 4
    assert float(changed.sum(1).double().mean()) == pytest.approx(4 * 30 / 31, abs=0.1)  # 1 in 31 draws MASK
    assert float(changed.double().mean(0).std()) < 0.03  # every position alike
    tokens = perturbed(x, process, 0.1, seed=3, index=index)[changed]
    assert len(tokens.unique()) == 30
    assert not torch.equal(perturbed(x, process, 0.1, seed=4, index=index) != x, changed)
    assert torch.equal(perturbed(x, process, 0.02, seed=3, index=index), x)  # floor(0.8) = 0


def test_epochs_walk_the_paths_round_and_round():
    config = LSDConfig(paths_per_epoch=6, paths_per_update=4)
    epochs = [[rows.tolist() for rows in updates(10, epoch, config)] for epoch in range(3)]
    assert epochs == [[[0, 1, 2, 3], [4, 5]], [[6, 7, 8, 9], [0, 1]], [[2, 3, 4, 5], [6, 7]]]
    assert [rows.tolist() for rows in updates(3, 1, config)] == [[0, 1, 2]]
