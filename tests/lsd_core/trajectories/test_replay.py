"""Replay gives the states that the trajectory went through, found here one jump at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.trajectories import TeacherSpec, Trajectories, state_at_count, state_at_step, state_at_time
from lsd_core.trajectories.types import TIME_GRID


def walk(trajectories: Trajectories, row: int) -> list[tuple[float, Tensor]]:
    """(time, state) after each jump of one exact trajectory, from all hidden on."""
    x = torch.full((trajectories.length,), trajectories.mask)
    states = [(1.0, x.clone())]
    for rank in range(trajectories.length):
        position = int((trajectories.rank[row] == rank).nonzero())
        x[position] = trajectories.x_end[row, position]
        states.append((int(trajectories.reveal_time[row, position]) / TIME_GRID, x.clone()))
    return states


@pytest.fixture
def exact(make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]) -> Trajectories:
    """Twenty exact trajectories."""
    return draw(make_spec(shard_rows=20))


def test_state_at_count_is_the_state_after_that_many_jumps(exact: Trajectories) -> None:
    for masked in range(exact.length + 1):
        found = state_at_count(exact, masked)
        assert ((found == exact.mask).sum(dim=1) == masked).all()
        for row in range(len(exact)):
            assert torch.equal(found[row], walk(exact, row)[exact.length - masked][1])


def test_state_at_time_includes_the_jumps_of_that_very_time(exact: Trajectories) -> None:
    for row in range(len(exact)):
        jumps = walk(exact, row)
        times = [time for time, _ in jumps]
        for moment in {0.0, 1.0, *times, *(t + 0.5 / TIME_GRID for t in times[1:])}:
            expected = [state for time, state in jumps if time >= moment][-1]
            assert torch.equal(state_at_time(exact, moment)[row], expected)


def test_state_at_step_is_the_state_after_that_many_steps(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]
) -> None:
    given = draw(make_spec(steps=4, shard_rows=20))
    x = torch.full_like(given.x_end, given.mask).long()
    for step in range(5):
        assert torch.equal(state_at_step(given, step), x)
        x = torch.where(given.reveal_step == step, given.x_end, x).long()
    assert torch.equal(x, given.x_end.long())


def test_each_trajectory_may_have_its_own_moment(exact: Trajectories) -> None:
    counts = torch.arange(len(exact)) % (exact.length + 1)
    times = torch.linspace(0, 1, len(exact), dtype=torch.float64)
    for row in range(len(exact)):
        assert torch.equal(state_at_count(exact, counts)[row], state_at_count(exact, int(counts[row]))[row])
        assert torch.equal(state_at_time(exact, times)[row], state_at_time(exact, float(times[row]))[row])


def test_replay_leaves_the_trajectories_alone(exact: Trajectories) -> None:
    before = exact.x_end.clone()
    state_at_count(exact, 3)
    assert torch.equal(exact.x_end, before)


@pytest.mark.parametrize(
    ("function", "moment", "named"),
    [
        (state_at_count, -1, r"num_masked must lie in \[0, 7\]"),
        (state_at_count, 8, r"num_masked must lie in \[0, 7\]"),
        (state_at_time, 1.5, r"t must lie in \[0, 1\]"),
        (state_at_time, float("nan"), r"t must lie in \[0, 1\]"),
        (state_at_step, 0, "trajectories must hold reveal_step"),
    ],
)
def test_moment_outside_the_path_is_refused(
    exact: Trajectories, function: Callable[..., Tensor], moment: float, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        function(exact, moment)
