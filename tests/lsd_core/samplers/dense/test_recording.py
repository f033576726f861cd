"""Teachers without a mask: their paths have the laws they should, are cut anywhere, and survive the store."""

from itertools import pairwise

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.candidates.teacher import calls_a_path, generate_shard, noised_data, teacher_spec
from lsd_core.errors import InputError
from lsd_core.processes import Process
from lsd_core.samplers.recording import (
    STOP,
    expected_calls,
    node_times,
    record_exact,
    record_states,
    windows,
)
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.read import decode_shard
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import equal
from lsd_core.trajectories.write import encode_shard
from tests.lsd_core.oracles import chi_square
from tests.lsd_core.samplers.dense.noisy import GAUSSIAN, UNIFORM, chain, data_law, forward


def law_at(process: Process, t: float) -> torch.Tensor:
    noise = float(process.noise.sigma_bar(torch.tensor(t, dtype=torch.float64)))
    return data_law(chain(process)) @ forward(process, 2, noise)


@pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])
@pytest.mark.slow
def test_exact_paths_have_the_networks_law_at_every_kept_time(process: Process) -> None:
    """The network is exact and starts from its prior, which noise has all but reached at t = 1."""
    count = (
        4000 if process is UNIFORM else 150
    )  # a gaussian transition is worked out for each chain's own time
    paths = record_exact(chain(process), 4, Draws(3, torch.arange(count)))
    assert paths.states is not None
    assert paths.x_end is not None
    for k, t in enumerate(node_times(4)):
        assert chi_square(paths.states[:, k].long(), law_at(process, t), 3) > 1e-3
    assert chi_square(paths.x_end.long(), data_law(chain(process)), 3) > 1e-3


def test_windows_join_without_gaps_and_narrow_toward_the_end() -> None:
    pieces = windows(8)
    assert [times[0] for times in pieces] == list(node_times(8))
    assert all(before[-1] == after[0] for before, after in pairwise(pieces))
    assert pieces[-1][-1] == STOP
    assert len(pieces[-1]) == 8  # 1/8 halved seven times is 2^-10


def test_a_path_does_not_depend_on_those_beside_it() -> None:
    many = record_exact(chain(UNIFORM), 4, Draws(3, torch.arange(40)))
    few = record_exact(chain(UNIFORM), 4, Draws(3, torch.arange(30, 37)))
    assert equal(many.select(slice(30, 37)), few)


def test_stepped_paths_keep_every_nth_state_and_end_denoised() -> None:
    fine = record_states(chain(UNIFORM), "tweedie", 8, 8, Draws(3, torch.arange(50)))
    coarse = record_states(chain(UNIFORM), "tweedie", 8, 4, Draws(3, torch.arange(50)))
    assert fine.states is not None
    assert coarse.states is not None
    assert torch.equal(fine.states[:, ::2], coarse.states)
    assert torch.equal(fine.x_end, coarse.x_end)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"teacher.steps must be a multiple of teacher.nodes = 3, got 8"):
        record_states(chain(UNIFORM), "tweedie", 8, 3, Draws(3, torch.arange(5)))


def test_scores_alone_have_no_bound_to_uniformise_under() -> None:
    class ScoresOnly:
        process, length = UNIFORM, 2

        def score(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return chain(UNIFORM).score(x, t)

    with pytest.raises(InputError, match=r"method: tau_leaping, steps: 256"):
        record_exact(ScoresOnly(), 4, Draws(3, torch.arange(2)))


def noisy_spec(name: str, **changed: object) -> TeacherSpec:
    settings = {
        "method": "data",
        "steps": None,
        "batch": 8,
        "shard_rows": 8,
        "seed": 1,
        "nodes": 16,
    } | changed
    return teacher_spec(load_backbone(name), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["countdown-uniform-exact", "countdown-gaussian-exact"])
def test_noised_data_are_the_tasks_data_at_the_end_and_noise_at_the_start(name: str) -> None:
    backbone = load_backbone(name)
    paths = noised_data(backbone, 16, Draws(1, torch.arange(300)))  # type: ignore[arg-type]
    assert paths.states is not None
    assert paths.x_end is not None
    kept = [(state == paths.x_end).double().mean().item() for state in paths.states.unbind(1)]
    assert all(early <= late + 0.02 for early, late in pairwise(kept))
    assert kept[0] == pytest.approx(1 / 32, abs=0.01)
    assert kept[-1] > 0.7


@pytest.mark.parametrize("name", ["countdown-uniform-exact", "countdown-gaussian-exact"])
def test_states_survive_the_store_and_stand_still_for_little(name: str) -> None:
    backbone, spec = load_backbone(name), noisy_spec(name)
    shard = generate_shard(backbone, spec, 1)
    data = encode_shard(shard, spec)
    assert equal(decode_shard(data, spec), shard)
    ends = decode_shard(data, spec, columns=["x_end"])
    assert ends.states is None
    if name == "countdown-uniform-exact":  # tokens that jumped last long ago cost nothing
        assert len(data) / len(shard) < 17 * backbone.length * 5 / 8


def test_what_a_teacher_costs() -> None:
    assert calls_a_path(noisy_spec("countdown-uniform-exact")) == 0
    assert calls_a_path(noisy_spec("countdown-uniform-exact", method="tau_leaping", steps=32)) == 32
    spec = noisy_spec("countdown-uniform-exact", method="exact")
    assert spec.method == "uniformisation"
    assert calls_a_path(spec) == expected_calls(load_backbone("countdown-uniform-exact").process, 64, 16)
    with pytest.raises(InputError, match=r"teacher.method must be one of exact, uniformisation, data"):
        noisy_spec("countdown-uniform-exact", method="first_hitting")
