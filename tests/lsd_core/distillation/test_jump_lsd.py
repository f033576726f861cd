"""LSD without a mask: its gradient, its optimum, its start, and what it refuses."""

import pytest
import torch

from lsd_core.backbones.hidden_markov import HiddenMarkov
from lsd_core.distillation.jump_alignment import alignment, relaxed
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.lsd import LSDConfig, fit
from lsd_core.errors import InputError
from lsd_core.processes import Process
from lsd_core.samplers.full import predict
from lsd_core.samplers.state import Draws
from tests.lsd_core.oracles import all_states
from tests.lsd_core.samplers.dense.noisy import GAUSSIAN, UNIFORM, chain, exact_paths

both = pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])


def learn(backbone: HiddenMarkov, sampler: str = "tau_leaping", seed: int = 0, **settings: object) -> Learned:
    problem = Problem(
        backbone=backbone,
        sampler=sampler,
        num_steps=4,
        trajectories=exact_paths(backbone, 64, 8),
        seed=seed,
        batch=32,
    )
    return fit(problem, LSDConfig(**({"epochs": 3} | settings)))  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("gain_on", ["score", "log_score"])
@pytest.mark.parametrize("distance", ["l2", "kl"])
def test_the_gradient_is_the_slope_of_the_loss(process: Process, gain_on: str, distance: str) -> None:
    config = LSDConfig(gain_on=gain_on, distance=distance)  # type: ignore[arg-type]
    backbone, x = chain(process), all_states(3, 2)
    teacher, student = predict(backbone, x, 0.7), predict(backbone, x.flip(0), 0.7)

    def loss(value: float) -> torch.Tensor:
        return alignment(teacher, student, torch.tensor(value, dtype=torch.float64), config)

    gain = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    alignment(teacher, student, gain, config).backward()
    slope = float(loss(1.3 + 1e-5) - loss(1.3 - 1e-5)) / 2e-5
    assert abs(slope) > 1e-4
    assert float(gain.grad) == pytest.approx(slope, rel=1e-5)  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("distance", ["l2", "kl"])
def test_equal_states_align_at_a_gain_of_one(process: Process, distance: str) -> None:
    config = LSDConfig(distance=distance)  # type: ignore[arg-type]
    seen = predict(chain(process), all_states(3, 2), 0.7)
    at = {gain: float(alignment(seen, seen, torch.tensor(gain), config)) for gain in (0.8, 1.0, 1.25)}
    assert at[1.0] == pytest.approx(0.0, abs=1e-12)
    assert min(at[0.8], at[1.25]) > 1e-3


def test_the_student_starts_from_the_teachers_draw_with_a_share_of_it_anew() -> None:
    backbone = chain(UNIFORM, length=8)
    x = exact_paths(chain(UNIFORM, length=4), 50, 4).states  # type: ignore[union-attr]
    assert x is not None
    start = torch.cat([x[:, 0], x[:, 1]], dim=1).long()
    draws = Draws(3, torch.arange(50))
    assert torch.equal(relaxed(backbone, start, 0.0, draws), start)
    changed = (relaxed(backbone, start, 0.25, draws) != start).sum(1)
    assert 0 < int(changed.max()) <= 2


@both
def test_it_learns_logs_and_repeats(process: Process) -> None:
    learned = learn(chain(process))
    assert learned.table.times == (1.0, 0.75, 0.5, 0.25, 0.0)
    assert learned.table.gains == tuple(learned.history["gains"][-1])
    assert max(abs(gain - 1) for gain in learned.table.gains) > 0.01
    assert learned.sequences == 3 * 64 * 4 * 2
    assert learn(chain(process)).table == learned.table
    assert learn(chain(process), seed=1).table != learned.table


def test_gains_stay_within_their_bounds() -> None:
    learned = learn(chain(UNIFORM), learning_rate=5.0, gain_bounds=(0.5, 1.5))
    assert all(0.5 <= gain <= 1.5 for gain in learned.table.gains)
    assert learned.diagnostics["gains_at_a_bound"] >= 1


def test_what_it_cannot_learn_is_said() -> None:
    with pytest.raises(
        InputError, match=r"lsd.gain_on must be log_score for tweedie steps on the gaussian process"
    ):
        learn(chain(GAUSSIAN), sampler="tweedie")
    learn(chain(GAUSSIAN), sampler="tweedie", gain_on="log_score", epochs=1)
    with pytest.raises(InputError, match="sampler must look at the network once a step"):
        learn(chain(UNIFORM), sampler="theta_trapezoidal")
