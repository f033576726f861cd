"""LSD on chains small enough to know the answer."""

import json

import pytest
import torch

from lsd_core.backbones.protocol import log_x0
from lsd_core.distillation.lsd import LSDConfig, fit, masked_fit
from lsd_core.distillation.teacher_transitions import masked_log_probs
from lsd_core.errors import InputError
from lsd_core.processes import Geometric
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.replay import state_at_time
from tests.lsd_core.distillation.chains import (
    distinct_states,
    exact_paths,
    independent_optimum,
    masked_law,
    mild_chain,
    problem,
    stepped_paths,
    strong_chain,
)
from tests.lsd_core.oracles import all_states, joint_law, misfit_backbone, product_law, push, seen_at

FROZEN = {"epochs": 1, "learning_rate": 1e-12, "zeta": 0.0}  # looks, does not move
FAITHFUL = {"coupling": "independent", "zeta": 0.0}


@pytest.mark.parametrize("distance", ["l2", "kl"])
@pytest.mark.parametrize("gain_on", ["score", "log_score"])
def test_the_gradient_is_the_difference_quotient_of_the_loss(gain_on, distance):
    """On fixed states, computed from the protocol's dense laws with no code of the method's."""
    backbone = strong_chain()
    paths = exact_paths(backbone, 8)
    student, numbers = masked_fit(problem(backbone, paths, 4), LSDConfig(gain_on=gain_on, distance=distance))
    step = list(steps_of(uniform_times(4), 6))[2]
    x = state_at_time(
        exact_paths(backbone, 16).select(slice(8, 16)), 0.6
    )  # some states that are not the teacher's
    t = torch.full((8,), step.t, dtype=torch.float64)
    features = backbone.features(x, t)
    loss = student.align(torch.arange(8), step, x, features, numbers.gains[2], None, weight=1.0)

    def by_hand(gain):
        teacher_x = state_at_time(paths, step.t)
        rows = (x == backbone.process.mask) & (teacher_x == backbone.process.mask)
        target, p = log_x0(backbone, teacher_x, t)[rows].exp(), log_x0(backbone, x, t)[rows].exp()
        q = gain * p if gain_on == "score" else p**gain / (p**gain).sum(-1, keepdim=True)
        each = (target - q) ** 2 if distance == "l2" else target * (target / q).log() - target + q
        return float(each.sum()) / x.numel()

    assert loss == pytest.approx(by_hand(1.0))
    quotient = (by_hand(1 + 1e-5) - by_hand(1 - 1e-5)) / 2e-5
    assert numbers.gains.grad.tolist() == pytest.approx([0, 0, quotient, 0], abs=1e-7)
    if (gain_on, distance) != ("score", "kl"):  # there 1 is the optimum, whatever the rows
        assert abs(quotient) > 1e-2


@pytest.mark.parametrize("rows", ["both", "all"])
def test_least_squares_on_independent_draws_is_rho_and_with_rows_of_zeros_t_rho(rows):
    backbone = mild_chain(2.0)
    joint = joint_law(0, 3, 3, 2.0)
    config = LSDConfig(
        **FROZEN | FAITHFUL | {"rows": rows, "paths_per_epoch": 6000, "paths_per_update": 6000}
    )
    learned = fit(problem(backbone, exact_paths(backbone, 6000), 4, batch=6000), config)
    student = torch.zeros(4**3, dtype=torch.float64)
    student[-1] = 1.0
    for step, found in zip(
        steps_of(uniform_times(4), 3), learned.diagnostics["least_squares_gain"], strict=True
    ):
        expected = independent_optimum(backbone, masked_law(joint, step.t), student, rows)
        assert found == pytest.approx(expected, abs=0.03)
        if step.index == 2:  # t = 0.5
            rho = independent_optimum(backbone, masked_law(joint, step.t), student, "both")
            assert expected == pytest.approx(rho if rows == "both" else 0.5 * rho)
            assert rho < 0.95
        dense = Euler().kernel(seen_at(backbone, states := all_states(4, 3), step), step).probs
        student = student @ product_law(dense)
        assert len(states) == len(student)


def test_the_gains_find_the_least_squares_optimum():
    backbone = strong_chain()
    config = LSDConfig(epochs=60, learning_rate=0.1, paths_per_epoch=128, paths_per_update=128, **FAITHFUL)
    learned = fit(problem(backbone, exact_paths(backbone, 256), 3, batch=128), config)
    for gain, optimum in zip(learned.table.gains, learned.diagnostics["least_squares_gain"], strict=True):
        assert gain == pytest.approx(optimum, abs=0.06)
    assert learned.table.gains[0] == pytest.approx(1.0)  # both all MASK: equal rows
    assert max(learned.table.gains[1:]) < 0.8
    assert learned.history["loss"][-1] < learned.history["loss"][0]


def test_a_student_that_is_its_teacher_has_no_loss_and_keeps_its_gains():
    backbone = strong_chain()
    learned = fit(problem(backbone, stepped_paths(backbone, 32, steps=4), 4), LSDConfig(epochs=2, zeta=0.0))
    assert learned.history["loss"] == [0.0, 0.0]
    assert learned.table.gains == (1.0, 1.0, 1.0, 1.0)
    assert learned.diagnostics["least_squares_gain"] == pytest.approx([1.0] * 4)


def test_common_noise_aligns_better_than_noise_of_its_own():
    backbone = strong_chain()
    losses = {}
    for coupling in ("common", "independent"):
        config = LSDConfig(**FROZEN | {"coupling": coupling, "paths_per_epoch": 200})
        losses[coupling] = fit(problem(backbone, exact_paths(backbone, 200), 6), config).history["loss"][0]
    assert losses["common"] < 0.6 * losses["independent"]


def test_without_the_teachers_seed_reveals_are_common_and_the_report_says_whose_tokens():
    backbone = strong_chain()
    paths = stepped_paths(backbone, 64, steps=4)
    config = LSDConfig(epochs=1, zeta=0.0)
    known = fit(problem(backbone, paths, 4), config)
    unknown = fit(problem(backbone, paths, 4, teacher_seed=None), config)
    assert known.diagnostics["token_noise"] == "the teacher's"
    assert unknown.diagnostics["token_noise"] == "its own"
    assert unknown.history["loss"][0] > 0.01


def test_the_relaxed_start_moves_the_student_off_its_teacher():
    backbone = strong_chain()
    paths = stepped_paths(backbone, 64, steps=4)
    loss = fit(problem(backbone, paths, 4), LSDConfig(epochs=1, zeta=0.2)).history["loss"][0]
    assert loss > 0.01


def test_gains_on_the_score_are_a_schedule_where_time_is_ignored():
    """The law of all outputs, enumerated: equal to 1e-15, also where a gain reveals everything early."""
    backbone = misfit_backbone(1, 3, 3)
    for gains in ((0.4, 1.3, 0.7, 2.0), (1.0, 1.0, 2.5, 1.0)):
        table = StepTable(times=uniform_times(4).times, gains=gains, gain_on="score")
        student, _ = masked_fit(problem(backbone, exact_paths(backbone, 4), 4), LSDConfig())
        times = student.equivalent_times(table)
        schedule = StepTable(times=tuple(times))
        assert float((push(Euler(), backbone, table) - push(Euler(), backbone, schedule)).abs().max()) < 1e-15
        plain = push(Euler(), backbone, uniform_times(4))
        assert float((push(Euler(), backbone, table) - plain).abs().max()) > 1e-3


def test_gains_on_the_log_score_are_temperatures_and_leave_the_reveals():
    backbone = strong_chain()
    config = LSDConfig(epochs=3, gain_on="log_score", **FAITHFUL)
    learned = fit(problem(backbone, exact_paths(backbone, 64), 3), config)
    assert learned.table.gain_on == "log_score"
    assert learned.diagnostics["temperatures"] == [1 / gain for gain in learned.table.gains]
    assert "temperature" in learned.diagnostics["gain_acts_on"]
    assert "equivalent_times" not in learned.diagnostics
    x = backbone.process.prior(1, 6)
    for step in steps_of(learned.table, 6):
        law = Euler().kernel(seen_at(backbone, x, step, 1.0), step)
        assert law.marginal_chance().tolist() == pytest.approx([(step.t - step.s) / step.t] * 6)


def test_rows_of_revealed_tokens_leave_log_score_gains_finite():
    backbone = strong_chain()
    config = LSDConfig(epochs=2, gain_on="log_score", rows="all", **FAITHFUL)
    learned = fit(problem(backbone, exact_paths(backbone, 32), 3), config)
    assert all(0 < gain < 10 for gain in learned.table.gains)
    assert max(abs(gain - 1) for gain in learned.table.gains) > 1e-3


def test_a_tables_cost_is_what_went_through_the_network():
    backbone = mild_chain()
    paths = exact_paths(backbone, 24)
    backbone.sequences = 0
    told = []
    task = problem(backbone, paths, 3, batch=5, progress=lambda stage, share: told.append((stage, share)))
    learned = fit(task, LSDConfig(epochs=4, paths_per_epoch=12, paths_per_update=8))
    assert learned.sequences == backbone.sequences
    asked = distinct_states(backbone, paths, points=[(1.0,), (2 / 3,), (1 / 3,)], block=5)
    assert learned.diagnostics["teacher_sequences"] == asked < 24 * 3
    assert 0 < learned.diagnostics["student_sequences"] <= 4 * 12 * 3
    assert told == [("lsd", 0.25), ("lsd", 0.5), ("lsd", 0.75), ("lsd", 1.0)]
    json.dumps(learned.diagnostics, allow_nan=False)
    assert [len(rows) for rows in learned.history["gains"]] == [3] * 4
    assert len(learned.history["loss"]) == 4


def test_what_is_learned_follows_from_the_seed_and_not_from_the_batch():
    backbone = strong_chain()
    paths = exact_paths(backbone, 32)
    config = LSDConfig(epochs=3, gain_on="log_score", coupling="independent", zeta=0.2)
    gains = {
        (seed, batch): fit(problem(backbone, paths, 3, seed=seed, batch=batch), config).table.gains
        for seed, batch in ((1, 32), (1, 32), (1, 7), (2, 32))
    }
    assert gains[1, 32] == pytest.approx(gains[1, 7], abs=1e-12)
    assert gains[1, 32] != pytest.approx(gains[2, 32], abs=1e-4)
    again = fit(problem(backbone, paths, 3, seed=1, batch=32), config).table.gains
    assert again == gains[1, 32]


def test_gains_stay_inside_their_bounds():
    backbone = strong_chain()
    config = LSDConfig(epochs=3, learning_rate=0.5, gain_bounds=(0.9, 1.1), **FAITHFUL)
    learned = fit(problem(backbone, exact_paths(backbone, 64), 3), config)
    assert min(learned.table.gains) == 0.9
    assert learned.diagnostics["gains_at_a_bound"] == learned.table.gains.count(0.9)


def test_counts_are_learned_on_the_log_score_only():
    backbone = strong_chain()
    task = problem(backbone, exact_paths(backbone, 32), 3, sampler="fixed_counts")
    learned = fit(task, LSDConfig(epochs=2, gain_on="log_score"))
    assert learned.table.counts == (6, 4, 2, 0)
    with pytest.raises(InputError, match=r"sampler must be one of .*'fixed_counts'\] for lsd, got halton"):
        fit(problem(backbone, exact_paths(backbone, 32), 3, sampler="halton"), LSDConfig())
    with pytest.raises(InputError, match="gain_on must be log_score for fixed_counts, got score"):
        fit(task, LSDConfig(epochs=2))


def test_rows_are_laws_whatever_their_sums():
    backbone = misfit_backbone(3, 3, 3, normalised=False)
    x = backbone.process.prior(1, 3)
    features = backbone.features(x, torch.ones(1).double())
    row = (torch.zeros(3).long(), torch.arange(3))
    log_p, sums = masked_log_probs(backbone, features, row, x == backbone.process.mask)
    assert log_p.exp().sum(-1).tolist() == pytest.approx([1.0] * 3)
    assert sums.tolist() == pytest.approx(backbone.table[-1].exp().sum(-1).log().tolist())
    assert float(sums.abs().min()) > 0.01


def test_row_sums_are_reported_where_they_can_stray():
    backbone = misfit_backbone(3, 3, 3, timed=True, normalised=False)
    learned = fit(problem(backbone, exact_paths(backbone, 16), 2), LSDConfig(epochs=1))
    assert learned.diagnostics["row_sums"]["max_abs_log"] > 0.3
    assert (
        "row_sums" not in fit(problem(mild_chain(), exact_paths(mild_chain(), 8), 2), LSDConfig()).diagnostics
    )


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"epochs": 0}, "lsd.epochs must be an integer >= 1, got 0"),
        ({"paths_per_update": True}, "lsd.paths_per_update must be an integer"),
        ({"learning_rate": 0.0}, "lsd.learning_rate must be positive"),
        ({"distance": "l1"}, "lsd.distance must be one of"),
        ({"gain_on": "logits"}, "lsd.gain_on must be one of"),
        ({"coupling": "none"}, "lsd.coupling must be one of"),
        ({"distance": "kl", "rows": "all"}, "lsd.rows must be 'both' with distance 'kl'"),
        ({"zeta": 1.0}, "lsd.zeta must lie in"),
        ({"gain_bounds": (1.5, 2.0)}, "lsd.gain_bounds must be two positive numbers around 1"),
    ],
)
def test_bad_settings_are_named(setting, complaint):
    config = LSDConfig()
    for name, value in setting.items():  # past the types that are checked while testing
        object.__setattr__(config, name, value)
    with pytest.raises(InputError, match=complaint):
        config.__post_init__()


def test_a_sampler_it_cannot_learn_is_named():
    backbone = strong_chain()
    with pytest.raises(InputError, match=r"sampler must be one of .*'euler'.* got theta_trapezoidal"):
        fit(problem(backbone, exact_paths(backbone, 4), 2, sampler="theta_trapezoidal"), LSDConfig())


def test_common_noise_needs_log_linear_noise():
    backbone = misfit_backbone(4, 3, 3, noise=Geometric(1e-2, 5.0))
    with pytest.raises(InputError, match="coupling must be independent unless noise is log-linear"):
        fit(problem(backbone, exact_paths(backbone, 4), 2), LSDConfig())
    fit(problem(backbone, exact_paths(backbone, 4), 2), LSDConfig(epochs=1, coupling="independent"))
