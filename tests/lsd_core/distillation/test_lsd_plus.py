"""LSD+: its target, its gradients in the times, and what its two forms make of them."""

import json

import pytest
import torch

from lsd_core.backbones.protocol import log_x0
from lsd_core.distillation.lsd_plus import LSDPlusConfig, fit, fit_literal, teacher_transitions
from lsd_core.distillation.masked_alignment import MaskedStudent
from lsd_core.errors import InputError
from lsd_core.paths.teacher_features import state_before
from lsd_core.samplers.step import Step
from lsd_core.trajectories.replay import state_at_step, state_at_time
from tests.lsd_core.distillation.chains import (
    Warming,
    distinct_states,
    exact_paths,
    mild_chain,
    problem,
    stepped_paths,
    strong_chain,
)
from tests.lsd_core.oracles import misfit_backbone

STILL = {"gain_bounds": (1.0, 1.0), "zeta": 0.0}  # the times alone


def transitions(task, literal=False, **config):
    return teacher_transitions(task, LSDPlusConfig(**config), literal=literal)


def summed(teacher, count, k):
    """The target at every (path, position), (count, l, v)."""
    rows = torch.arange(count)
    length = teacher.backbone.length
    every = (rows.repeat_interleave(length), torch.arange(length).repeat(count))
    return teacher.summed(teacher.load(rows, k), every).view(count, length, -1)


def test_the_target_sums_the_teachers_steps_at_its_own_states():
    backbone = strong_chain()
    paths = exact_paths(backbone, 20)
    got = summed(transitions(problem(backbone, paths, 2), teacher_points=3), 20, 1)
    expected = torch.zeros_like(got)
    for t, s in ((3 / 6, 2 / 6), (2 / 6, 1 / 6), (1 / 6, 0.0)):
        x = state_at_time(paths, t)
        p = log_x0(backbone, x, torch.full((20,), t, dtype=torch.float64)).exp()
        expected += (x == backbone.process.mask)[..., None] * (t - s) / t * p
    assert torch.allclose(got, expected, atol=1e-12)


def test_the_target_is_in_the_mean_the_chance_of_a_reveal_times_the_law():
    """From all MASK the summed transition of the first of M intervals has the mean p / M; the last adds to 1."""
    backbone = mild_chain(2.0)
    teacher = transitions(problem(backbone, exact_paths(backbone, 4000), 4), teacher_points=4)
    start = log_x0(backbone, backbone.process.prior(1, 3), torch.ones(1).double()).exp()[0]
    assert torch.allclose(summed(teacher, 4000, 0).mean(0), start / 4, atol=0.01)
    masked = teacher.hidden(torch.arange(4000), 3)
    assert float(summed(teacher, 4000, 3)[masked].sum(-1).mean()) == pytest.approx(1.0, abs=0.03)


def test_a_stepped_teacher_gives_no_more_points_than_it_has():
    backbone = strong_chain()
    paths = stepped_paths(backbone, 10, steps=6)
    teacher = transitions(problem(backbone, paths, 2), teacher_points=100)
    assert teacher.points == 3
    for moment in teacher.moments:
        assert torch.equal(state_before(teacher.paths, moment), state_at_step(paths, moment.index))


def test_the_literal_target_is_one_teacher_step():
    backbone = strong_chain()
    exact = transitions(problem(backbone, exact_paths(backbone, 5), 2), literal=True, teacher_steps=50)
    assert exact.chances.tolist() == pytest.approx([1 / 50, 1 / 25])
    own = transitions(problem(backbone, stepped_paths(backbone, 5, steps=8), 2), literal=True)
    assert own.chances.tolist() == pytest.approx([1 / 8, 1 / 4])


@pytest.mark.parametrize("gain_on", ["score", "log_score"])
@pytest.mark.parametrize("timed", [False, True])
def test_the_gradient_in_the_times_is_the_difference_quotient_of_the_loss(gain_on, timed):
    """On fixed states; with a network that is told the time, the gradient passes through that input too."""
    backbone = Warming(mild_chain(2.0).table, 3) if timed else mild_chain(2.0)
    paths = exact_paths(mild_chain(2.0), 12)
    task, config = problem(backbone, paths, 3), LSDPlusConfig(gain_on=gain_on)
    student = MaskedStudent(task, config, teacher_transitions(task, config, literal=False))
    gain = torch.ones((), dtype=torch.float64, requires_grad=True)
    x = state_at_time(exact_paths(mild_chain(2.0), 24).select(slice(12, 24)), 0.7)
    rows, at = torch.arange(12), torch.tensor([1.0, 0.6, 0.25], dtype=torch.float64)

    def loss_and_gradient(values, through):
        leaf = values.clone().requires_grad_(True)
        time = leaf[1].expand(12) if through else leaf[1].detach().expand(12)
        step = Step(1, float(values[1]), float(values[2]), 1.0, gain_on)
        loss = student.align(rows, step, x, backbone.features(x, time), gain, (leaf[1], leaf[2]), 1.0)
        return loss, leaf.grad

    _, gradient = loss_and_gradient(at, through=True)
    for k in range(3):
        nudge = torch.zeros(3, dtype=torch.float64)
        nudge[k] = 1e-6
        quotient = (loss_and_gradient(at + nudge, True)[0] - loss_and_gradient(at - nudge, True)[0]) / 2e-6
        assert float(gradient[k]) == pytest.approx(quotient, abs=1e-7)
    assert min(abs(float(gradient[1])), abs(float(gradient[2]))) > 1e-3
    _, cut = loss_and_gradient(at, through=False)
    assert (abs(float(cut[1] - gradient[1])) > 1e-4) == timed


def test_learning_uses_the_gradient_through_the_time_input(monkeypatch):
    """The w that a fit sees differ from those of a fit whose network is wrongly called time-free."""
    backbone = Warming(mild_chain(2.0).table, 3)
    paths = exact_paths(mild_chain(2.0), 64)
    config = LSDPlusConfig(epochs=4, zeta=0.0, coupling="independent")
    told = fit(problem(backbone, paths, 3), config).table.times
    monkeypatch.setattr(backbone, "time_free", True)
    ignored = fit(problem(backbone, paths, 3), config).table.times
    assert max(abs(a - b) for a, b in zip(told, ignored, strict=True)) > 1e-4


def test_no_gradient_passes_through_the_network_where_the_time_is_1_whatever_the_logits(monkeypatch):
    backbone = Warming(mild_chain(2.0).table, 3)
    paths, features, times = exact_paths(mild_chain(2.0), 8), backbone.features, {True: [], False: []}

    def watched(x, t):
        times[t.requires_grad] += t.detach().tolist()
        return features(x, t)

    monkeypatch.setattr(backbone, "features", watched)
    config = LSDPlusConfig(epochs=2, zeta=0.0)
    learned = fit(problem(backbone, paths, 3), config)
    assert len(times[True]) > 8
    assert max(times[True]) < 1 - 1e-6
    assert sum(t > 1 - 1e-12 for t in times[False]) >= 2 * 8
    assert max(abs(a - b) for a, b in zip(learned.table.times, (1, 2 / 3, 1 / 3, 0), strict=True)) > 1e-3


@pytest.mark.slow
def test_the_literal_optimum_is_one_teacher_step_and_the_summed_one_an_mth():
    """First step from all MASK, equal rows on both sides, gains held at 1: kappa_0 = 1 / N against 1 / M."""
    backbone = strong_chain()

    def learn(method, paths, epochs):
        settings = {"epochs": epochs, "paths_per_epoch": paths, "paths_per_update": paths}
        config = LSDPlusConfig(
            time_learning_rate=0.1, teacher_points=4, teacher_steps=10, **settings, **STILL
        )
        return method(problem(backbone, exact_paths(backbone, paths), 2, batch=256), config)

    literal = learn(fit_literal, paths=8, epochs=150)
    assert 1 - literal.table.times[1] == pytest.approx(1 / 10, abs=1e-3)
    assert literal.diagnostics["target"] == "one teacher step"
    assert 1 - learn(fit, paths=256, epochs=20).table.times[1] == pytest.approx(1 / 2, abs=0.03)


def test_epochs_alternate_between_gains_and_times():
    backbone = strong_chain()
    config = LSDPlusConfig(epochs=4, training="alternate", coupling="independent")
    history = fit(problem(backbone, exact_paths(backbone, 64), 3), config).history
    gains = [[1.0] * 3, *history["gains"]]
    times = [[1.0, 2 / 3, 1 / 3, 0.0], *history["times"]]
    for epoch in range(4):
        assert (gains[epoch + 1] != gains[epoch]) == (epoch % 2 == 0)
        assert (times[epoch + 1] != pytest.approx(times[epoch], abs=1e-9)) == (epoch % 2 == 1)
    joint = fit(problem(backbone, exact_paths(backbone, 64), 3), LSDPlusConfig(epochs=1)).history
    assert joint["gains"][0] != [1.0] * 3
    assert joint["times"][0] != pytest.approx(times[0], abs=1e-9)


def test_cost_history_and_report():
    backbone = misfit_backbone(3, 3, 3, timed=True, normalised=False)
    paths = exact_paths(backbone, 12)
    backbone.sequences = 0
    learned = fit(problem(backbone, paths, 2, batch=5), LSDPlusConfig(epochs=3, teacher_points=2))
    assert learned.sequences == backbone.sequences
    asked = distinct_states(backbone, paths, points=[(1.0, 0.75), (0.5, 0.25)], block=5)
    assert learned.diagnostics["teacher_sequences"] == asked < 12 * 2 * 2
    assert learned.table.times[0] == 1.0
    assert learned.table.times[-1] == 0.0
    assert [len(times) for times in learned.history["times"]] == [3] * 3
    assert learned.diagnostics["row_sums"]["max_abs_log"] > 0.3
    json.dumps([learned.history, learned.diagnostics], allow_nan=False)


def test_the_seed_decides_and_the_batch_does_not():
    backbone = strong_chain()
    paths = exact_paths(backbone, 32)
    config = LSDPlusConfig(epochs=3, coupling="independent")
    times = {
        key: fit(problem(backbone, paths, 3, seed=key[0], batch=key[1]), config).table.times
        for key in ((1, 32), (1, 7), (2, 32))
    }
    assert times[1, 32] == pytest.approx(times[1, 7], abs=1e-12)
    assert times[1, 32] != pytest.approx(times[2, 32], abs=1e-5)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"teacher_points": 0}, "lsd_plus.teacher_points must be an integer >= 1, got 0"),
        ({"time_learning_rate": -1.0}, "lsd_plus.time_learning_rate must be positive"),
        ({"training": "both"}, "lsd_plus.training must be one of"),
        ({"epochs": 0}, "lsd_plus.epochs must be an integer >= 1"),
    ],
)
def test_bad_settings_are_named(setting, complaint):
    config = LSDPlusConfig()
    for name, value in setting.items():  # past the types that are checked while testing
        object.__setattr__(config, name, value)
    with pytest.raises(InputError, match=complaint):
        config.__post_init__()


def test_a_sampler_of_counts_has_no_times_to_learn():
    backbone = strong_chain()
    task = problem(backbone, exact_paths(backbone, 4), 2, sampler="fixed_counts")
    with pytest.raises(InputError, match="sampler must step in times for lsd_plus, got fixed_counts"):
        fit(task, LSDPlusConfig(gain_on="log_score"))
