"""The teacher's states are those that replay rebuilds, and each costs one network call."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.paths.teacher_features import TeacherFeatures, distinct_features, hidden_before, state_before
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import counts_from_times, uniform_times
from lsd_core.trajectories.replay import state_at_count, state_at_step, state_at_time, timed
from lsd_core.trajectories.types import TIME_GRID, Trajectories
from tests.lsd_core.distillation.chains import Warming, exact_paths, mild_chain, stepped_paths, strong_chain

ROWS = torch.arange(40)


def test_exact_teachers_states_are_replayed_exactly():
    paths = exact_paths(strong_chain(), 40)
    read = timed(paths, seed=0)
    for step in steps_of(uniform_times(3), 6):
        assert torch.equal(state_before(read, step), state_at_time(paths, step.t))
    for step in steps_of(counts_from_times(uniform_times(3), 6), 6):
        assert torch.equal(state_before(read, step), state_at_count(paths, step.counts[0]))


def test_a_token_is_there_at_its_own_reveal_time():
    ticks = torch.tensor([[32767, 32768, 32769]])
    paths = Trajectories(
        index=torch.arange(1), num_tokens=4, x_end=torch.zeros(1, 3).long(), reveal_time=ticks
    )
    (step,) = [step for step in steps_of(uniform_times(2), 3) if step.t == 0.5]
    read = timed(paths, seed=0)
    assert hidden_before(read, step).tolist() == [[True, False, False]]
    assert read.rank.tolist() == [[2, 1, 0]]


def test_stepped_teachers_states_at_its_own_times_are_replayed_exactly():
    paths = stepped_paths(strong_chain(), 40, steps=8)
    read = timed(paths, seed=0)
    for step in steps_of(uniform_times(8), 6):
        assert torch.equal(state_before(read, step), state_at_step(paths, step.index))
    assert len(read.reveal_time.unique()) > 200  # moments inside the steps, not the 8 steps
    assert not torch.equal(read.reveal_time, timed(paths, seed=1).reveal_time)


def test_reveal_times_of_a_stepped_teacher_are_uniform():
    time = timed(stepped_paths(strong_chain(), 1000, steps=4), seed=0).reveal_time / TIME_GRID
    for level in (0.1, 0.375, 0.8):
        assert float((time < level).double().mean()) == pytest.approx(level, abs=0.02)


def test_a_state_of_a_path_is_sent_through_the_network_once():
    backbone = mild_chain()
    read = timed(exact_paths(backbone, 40), seed=0)
    moments = list(steps_of(uniform_times(3), 3))
    backbone.sequences = 0
    features = TeacherFeatures(backbone, read, moments)
    first = features.at(ROWS[:20], 1)
    assert torch.equal(features.at(ROWS[10:30], 1)[:10], first[10:])
    features.at(ROWS[:20], 2)
    states = [state_at_time(read, t) for t in (2 / 3, 1 / 3)]
    distinct = [
        len(states[n][some].unique(dim=0)) for n, some in ((0, ROWS[:20]), (0, ROWS[20:30]), (1, ROWS[:20]))
    ]
    assert backbone.sequences == features.sequences == sum(distinct) < 30 + 20


def test_features_too_large_to_keep_are_computed_again_and_equal():
    backbone = mild_chain()
    read = timed(exact_paths(backbone, 40), seed=0)
    moments = list(steps_of(uniform_times(3), 3))
    kept, forgotten = (TeacherFeatures(backbone, read, moments, cache_bytes=size) for size in (1 << 20, 100))
    for _ in range(2):
        assert torch.equal(kept.at(ROWS, 1), forgotten.at(ROWS, 1))
    distinct = len(state_at_time(read, 2 / 3).unique(dim=0))
    assert (kept.sequences, forgotten.sequences) == (distinct, 2 * distinct)


@pytest.mark.parametrize("time_free", [True, False])
def test_equal_states_go_through_the_network_once_and_have_the_features_of_a_call_of_their_own(time_free):
    backbone = mild_chain() if time_free else Warming(mild_chain().table, 3)
    x = torch.tensor([[3, 3, 3], [0, 3, 1], [3, 3, 3], [3, 3, 3], [0, 3, 1]])
    t = torch.tensor([0.5, 0.5, 0.25, 0.5, 0.5], dtype=torch.float64)
    backbone.sequences = 0
    distinct, which = distinct_features(backbone, x, t, batch=2)
    assert backbone.sequences == len(distinct) == (2 if time_free else 3)
    assert which.tolist() == ([0, 1, 0, 0, 1] if time_free else [0, 1, 2, 0, 1])
    assert torch.equal(distinct[which], backbone.features(x, t))


def test_missing_trajectories_are_named():
    with pytest.raises(InputError, match="trajectories must be given with x_end"):
        timed(None, seed=0)
    bare = Trajectories(index=torch.arange(2), num_tokens=4, x_end=torch.zeros(2, 6, dtype=torch.long))
    with pytest.raises(InputError, match="hold reveal_time or reveal_step, got x_end"):
        timed(bare, seed=0)
