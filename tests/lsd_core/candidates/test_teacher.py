"""Teachers without a network: data paths have the data's law, in uniform order, whatever the batch."""

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.candidates.teacher import calls_a_path, data_paths, generate_shard, teacher_spec
from lsd_core.errors import InputError
from lsd_core.metrics.countdown import error
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import TIME_GRID, Trajectories, equal
from lsd_core.trajectories.write import encode_shard

BACKBONE = load_backbone("countdown-exact")


def spec_of(**changed: object) -> TeacherSpec:
    settings = {"method": "data", "steps": None, "batch": 50, "shard_rows": 100, "seed": 3} | changed
    return teacher_spec(BACKBONE, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def paths() -> Trajectories:
    return data_paths(BACKBONE, Draws(3, torch.arange(2000)))


def test_data_paths_end_in_the_tasks_own_data(paths: Trajectories) -> None:
    assert paths.x_end is not None
    assert torch.equal(paths.x_end.long(), draw_sequences(3, torch.arange(2000), BACKBONE.length))
    assert float(error(paths.x_end.long()).max()) == 0


def test_reveal_times_are_uniform_and_know_nothing_of_the_tokens(paths: Trajectories) -> None:
    assert paths.reveal_time is not None
    assert paths.x_end is not None
    times = paths.reveal_time.double() / TIME_GRID
    counts = times.mul(16).long().flatten().bincount(minlength=16).double()
    assert float(((counts - counts.mean()) ** 2 / counts.mean()).sum()) < 40  # chi^2, 15 degrees: p 0.0005
    correlation = torch.corrcoef(torch.stack([times.flatten(), paths.x_end.double().flatten()]))[0, 1]
    assert abs(float(correlation)) < 4 / times.numel() ** 0.5


def test_ranks_follow_the_times_and_ties_the_positions(paths: Trajectories) -> None:
    assert paths.reveal_time is not None
    assert paths.rank is not None
    order = paths.rank.long().argsort(dim=1)
    times = paths.reveal_time.gather(1, order)
    assert bool((times[:, 1:] <= times[:, :-1]).all())
    tied = times[:, 1:] == times[:, :-1]
    assert int(tied.sum()) > 10  # 2000 paths of 64 positions on 2^16 ticks: about 61 ties
    assert bool((order[:, 1:] > order[:, :-1])[tied].all())


def test_a_shard_does_not_depend_on_its_batch_and_fits_the_store() -> None:
    shard = generate_shard(BACKBONE, spec_of(), 1)
    assert equal(shard, generate_shard(BACKBONE, spec_of(batch=10), 1))
    assert equal(shard, data_paths(BACKBONE, Draws(3, torch.arange(100, 200))))
    assert encode_shard(shard, spec_of()) == encode_shard(shard, spec_of())
    assert spec_of().hash != spec_of(method="first_hitting").hash


def test_only_network_teachers_cost_calls() -> None:
    costs = [spec_of(), spec_of(method="first_hitting"), spec_of(method="euler", steps=256)]
    assert [calls_a_path(spec) for spec in costs] == [0, 64, 256]


def test_data_have_no_steps_and_need_a_task_whose_law_is_known() -> None:
    with pytest.raises(InputError, match=r"teacher.steps must be left out for exact and data"):
        spec_of(steps=8)
    stranger = exact_backbone("stranger", 8)
    with pytest.raises(InputError, match=r"whose data can be drawn.*countdown-exact.*stranger"):
        teacher_spec(stranger, method="data", steps=None, batch=4, shard_rows=4, seed=0)
