"""Samplers on the uniform and gaussian processes: laws, orders, draws, and the exact simulation."""

import pytest
import torch
from scipy import stats

from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Exponential, Gaussian, Geometric, LogLinear, Uniform
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.full import predict
from lsd_core.samplers.full_kernels import (
    gained,
    last_jump_kernel,
    ordinal_kernel,
    reverse_rates,
    single_jump_kernel,
)
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import uniform_times
from lsd_core.samplers.tau_leaping import TauLeapingCorrected
from lsd_core.samplers.theta_rk2 import ThetaRK2
from lsd_core.samplers.theta_trapezoidal import ThetaTrapezoidal
from lsd_core.samplers.uniformisation import uniformise, x0_rate_bound
from tests.lsd_core.oracles import (
    AbsorbingScores,
    X0Scores,
    all_states,
    chi_square,
    features_at,
    fitted_order,
    joint_law,
    misfit_backbone,
    number_of,
    seen_at,
    tv,
)
from tests.lsd_core.samplers.dense.oracles import ExactScores, push_dense, reverse_law, step_matrix

UNIFORM = Uniform(3, Geometric(1e-2, 6.0))
GAUSSIAN = Gaussian(4, Exponential(0.05, 30.0), rate_sigma=1.5, prior_sigma=3.0)
MILD = ExactScores(UNIFORM, joint_law(0, 3, 2, 0.15))
STRONG = ExactScores(UNIFORM, joint_law(0, 3, 2, 2.0))
ORDINAL = ExactScores(GAUSSIAN, joint_law(1, 4, 2, 0.7))
MISFIT = ExactScores(UNIFORM, joint_law(0, 3, 2, 0.5), misfit=0.4)
MISFIT_ORDINAL = ExactScores(GAUSSIAN, joint_law(1, 4, 2, 0.7), misfit=0.4)
T, S = 0.9, 0.45


@pytest.mark.parametrize("backbone", [STRONG, ORDINAL])
def test_exact_scores_reverse_the_forward_chain(backbone: ExactScores) -> None:
    """The oracle itself: the reverse rates carry p_t to p_s."""
    assert isinstance(backbone, ScoreBackbone)
    arrived = reverse_law(backbone, backbone.law_at(T), T, S)
    torch.testing.assert_close(arrived, backbone.law_at(S), atol=1e-5, rtol=0)


@pytest.mark.parametrize("backbone", [STRONG, ORDINAL])
def test_tweedie_has_exact_marginals(backbone: ExactScores) -> None:
    """From one state, the law of each token at s is the true posterior's marginal, with nothing to clamp."""
    size, length = backbone.process.num_states, backbone.length
    x = all_states(size, length)
    law = SAMPLERS["tweedie"].kernel(predict(backbone, x, T, STEP), STEP)
    noise = backbone.process.noise
    growth = float(
        noise.sigma_bar(torch.tensor(T, dtype=torch.float64))
        - noise.sigma_bar(torch.tensor(S, dtype=torch.float64))
    )
    one = torch.linalg.matrix_exp(growth * backbone.process.rate_matrix())
    forward = torch.einsum("ac,bd->abcd", one, one).reshape(size**2, size**2)
    posterior = (
        backbone.law_at(S)[:, None] * forward / backbone.law_at(T)[None, :]
    )  # [state at s, state at t]
    marginal = posterior.T.view(-1, size, size)
    # Undoing a gaussian transition multiplies rounding by e^(growth x fastest rate): 1e8 here.
    close = 1e-9 if backbone is STRONG else 1e-8
    torch.testing.assert_close(law.probs[:, 0], marginal.sum(2), atol=close, rtol=0)
    torch.testing.assert_close(law.probs[:, 1], marginal.sum(1), atol=close, rtol=0)
    assert law.most_negative > -1e-10


STEP = Step(0, T, S, 1.0, "score")


@pytest.mark.parametrize("backbone", [MISFIT, MISFIT_ORDINAL])
def test_euler_law_is_delta_plus_step_times_reverse_rate(backbone: ExactScores) -> None:
    step = Step(0, 0.5, 0.49, 1.0, "score")
    x = all_states(backbone.process.num_states, 2)
    seen, q = predict(backbone, x, 0.5, step), backbone.process.rate_matrix()
    rate = float(backbone.process.noise.rate(torch.tensor(0.5, dtype=torch.float64)))
    law = SAMPLERS["euler"].kernel(seen, step).probs
    for number, state in enumerate(x.tolist()):
        for position, here in enumerate(state):
            for target in range(len(q)):
                if target != here:
                    expected = (
                        0.01 * rate * float(q[target, here]) * float(seen.score[number, position, target])
                    )
                    assert float(law[number, position, target]) == pytest.approx(expected, abs=1e-10)
    torch.testing.assert_close(law.sum(-1), torch.ones(len(x), 2, dtype=torch.float64))


@pytest.mark.parametrize("name", ["euler", "tweedie"])
def test_what_strays_from_a_law_is_clamped_renormalised_and_reported(name: str) -> None:
    backbone = ExactScores(UNIFORM, joint_law(0, 3, 2, 2.0), misfit=1.5)
    step = Step(0, 0.9, 0.05, 1.0, "score")
    x = all_states(3, 2)
    law = SAMPLERS[name].kernel(predict(backbone, x, 0.9, step), step)
    assert law.most_negative < -1e-3
    assert float(law.probs.min()) >= 0
    torch.testing.assert_close(law.probs.sum(-1), torch.ones(9, 2, dtype=torch.float64))


def test_the_dense_laws_on_absorbing_are_those_of_the_fast_path() -> None:
    fast = misfit_backbone(1, 3, 2)
    dense = AbsorbingScores(fast)
    x, step = all_states(4, 2), Step(0, 0.7, 0.4, 1.0, "score")
    seen = predict(dense, x, 0.7, step)
    expected = Euler().kernel(seen_at(fast, x, step), step).probs
    for name in ("euler", "tweedie"):
        law = SAMPLERS[name].kernel(seen, step).probs
        torch.testing.assert_close(law, expected, atol=1e-10, rtol=0)


# As measured by enumeration; the last jump wins on uniform, moves add on gaussian.
ORDERS = [
    (MILD, "euler", 1.0),
    (MILD, "tweedie", 1.0),
    (MILD, "tau_leaping", 1.0),
    (MILD, "tau_leaping_corrected", 1.0),
    (MILD, "theta_trapezoidal", 2.0),
    (MILD, "theta_rk2", 1.0),
    (ORDINAL, "euler", 1.0),
    (ORDINAL, "tweedie", 1.0),
    (ORDINAL, "tau_leaping", 1.0),
    (ORDINAL, "tau_leaping_corrected", 1.0),
    (ORDINAL, "theta_trapezoidal", 1.0),
]
COUNTS = (16, 32, 64)


@pytest.mark.parametrize(("backbone", "name", "order"), ORDERS)
def test_order(backbone: ExactScores, name: str, order: float) -> None:
    start, target = backbone.law_at(T), backbone.law_at(S)
    errors = [tv(push_dense(SAMPLERS[name], backbone, start, T, S, m), target) for m in COUNTS]
    assert abs(fitted_order(COUNTS, errors) - order) < (0.3 if order == 2 else 0.2)


def test_rk2_mixes_the_rates_of_both_stages_where_the_probe_stood_still() -> None:
    step, x, probe = Step(0, 0.7, 0.5, 1.0, "score"), torch.tensor([[0, 2]]), torch.tensor([[0, 1]])
    method, rho = ThetaRK2(0.4), 0.62
    seen, seen_mid = predict(MISFIT, x, 0.7, step), predict(MISFIT, probe, rho, step)
    early, late = seen.rates()[0], seen_mid.rates()[0]
    mixed = (-0.25 * early[0] + 1.25 * late[0]).clamp(min=0)
    expected = last_jump_kernel(torch.stack([mixed, early[1]])[None], x, 0.2).probs
    law = method.second(seen, seen_mid, step).probs
    torch.testing.assert_close(law, expected, atol=1e-12, rtol=0)


def test_rejecting_multiple_jumps_costs_an_order() -> None:
    start, target = MILD.law_at(T), MILD.law_at(S)
    errors = [tv(push_dense(ThetaTrapezoidal(reject=True), MILD, start, T, S, m), target) for m in COUNTS]
    assert fitted_order(COUNTS, errors) < 1.3


def test_leaps_are_poisson() -> None:
    """One token: the last-jump, single-jump and ordinal laws against sums over numbers of jumps."""
    rates = torch.tensor([[[0.7, 0.0, 1.1, 0.4]]], dtype=torch.float64)
    x, duration = torch.tensor([[1]]), 0.8
    move = 0.8 * rates[0, 0]
    total = float(move.sum())
    last, once = (
        last_jump_kernel(rates, x, duration).probs[0, 0],
        single_jump_kernel(rates, x, duration).probs[0, 0],
    )
    for state in (0, 2, 3):
        share = float(move[state]) / total
        assert float(last[state]) == pytest.approx(share * (1 - stats.poisson.pmf(0, total)))
        assert float(once[state]) == pytest.approx(share * stats.poisson.pmf(1, total))
    assert float(last[1]) == pytest.approx(stats.poisson.pmf(0, total))
    ordinal = ordinal_kernel(rates, x, duration).probs[0, 0]
    expected = [0.0] * 4
    for down in range(25):
        for up in range(25):
            for leap in range(25):
                chance = 1.0
                for number, mean in ((down, move[0]), (up, move[2]), (leap, move[3])):
                    chance *= float(stats.poisson.pmf(number, float(mean)))
                expected[min(3, max(0, 1 - down + up + 2 * leap))] += chance
    assert ordinal.tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("backbone", [STRONG, ORDINAL])
def test_a_corrector_leap_leaves_the_law_alone_to_first_order(backbone: ExactScores) -> None:
    law, x, moved = backbone.law_at(S), all_states(backbone.process.num_states, 2), []
    for width in (0.04, 0.02, 0.01, 0.005):
        step = Step(0, S + width, S, 1.0, "score")
        seen = predict(backbone, x, S, step)
        probs = TauLeapingCorrected(1.0).second(seen, seen, step).probs
        moved.append(tv(law @ torch.einsum("na,nb->nab", *probs.unbind(1)).flatten(1), law))
        assert float((probs - torch.nn.functional.one_hot(x)).abs().max()) > 0.1 * width
    assert fitted_order((1, 2, 4, 8), moved) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN])
def test_gains_scale_jumps_or_sharpen_them(process) -> None:
    backbone = MISFIT if process is UNIFORM else MISFIT_ORDINAL
    x, t = all_states(process.num_states, 2), 0.6
    plain = predict(backbone, x, t).score
    time = torch.full((len(x),), t, dtype=torch.float64)
    rates = reverse_rates(process, x, plain, time)
    more = reverse_rates(process, x, gained(plain, process, x, 1.7, "score"), time)
    torch.testing.assert_close(more, 1.7 * rates)
    sharp = reverse_rates(process, x, gained(plain, process, x, 3.0, "log_score"), time)
    torch.testing.assert_close(sharp.sum(-1), rates.sum(-1))
    assert float((sharp - rates).abs().max()) > 0.01
    torch.testing.assert_close(gained(plain, process, x, 1.0, "log_score"), plain)


@pytest.mark.parametrize("backbone", [STRONG, ORDINAL])
def test_scores_from_an_x0_law_are_the_scores(backbone: ExactScores) -> None:
    process, x = backbone.process, all_states(backbone.process.num_states, 2)
    size = process.num_states
    t = torch.cat([torch.full((len(x) - 3,), 0.3), torch.full((3,), 0.8)]).double()
    x0 = X0Scores(process, 2, true_x0(backbone))
    torch.testing.assert_close(x0.score(x, t), backbone.score(x, t), atol=1e-8, rtol=1e-8)
    assert x0.score(x, t).shape == (size**2, 2, size)


def true_x0(backbone: ExactScores):
    """p(x0_i = z | x_t) by Bayes' rule."""

    def law(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(*x.shape, backbone.process.num_states, dtype=torch.float64)
        for chain, (state, time) in enumerate(zip(x, t, strict=True)):
            growth = float(backbone.process.noise.sigma_bar(time))
            one = backbone.process.transition(growth)
            joint = backbone.joint * one[:, state[0], None] * one[None, :, state[1]]
            joint = joint / joint.sum()
            out[chain] = torch.stack([joint.sum(1), joint.sum(0)])
        return out

    return law


@pytest.mark.parametrize("exact", [STRONG, MISFIT, MISFIT_ORDINAL])
def test_uniformisation_has_the_exact_law(exact: ExactScores) -> None:
    """From a fixed state at t, against the reverse chain of the network itself, exact or not."""
    t, s, cells = 0.6, 0.45, 5
    backbone = ExactScores(exact.process, exact.joint, grid=(t - s) / cells)
    backbone.factor = exact.factor
    size = backbone.process.num_states
    x = torch.tensor([[0, 2]]).expand(6_000, 2)
    start = torch.zeros(size**2, dtype=torch.float64)
    start[number_of(x[:1], size)] = 1.0
    run = uniformise(backbone, x, (t, 0.5, s), Draws(1, torch.arange(6_000)), ceiling(backbone, t, s))
    assert chi_square(run.x, reverse_law(backbone, start, t, s, cells), size) > 0.001
    assert bool((run.calls >= run.jumps).all())
    assert int(run.jumps.sum()) > 500


def ceiling(backbone: ExactScores, t: float, s: float):
    """The largest total rate of any token over a fine grid, and some room."""
    x = all_states(backbone.process.num_states, 2)
    most = max(
        float(predict(backbone, x, u).rates().sum(-1).max()) for u in torch.linspace(s, t, 15).tolist()
    )
    return lambda hi, lo: 1.2 * most


def test_uniformisation_does_not_depend_on_the_batch_and_counts_its_calls() -> None:
    x = torch.tensor([[0, 2]]).expand(40, 2)
    bound = ceiling(STRONG, 0.6, 0.45)
    STRONG.sequences = 0
    whole = uniformise(STRONG, x, (0.6, 0.45), Draws(1, torch.arange(40)), bound)
    assert STRONG.sequences == int(whole.calls.sum())
    part = uniformise(STRONG, x[:7], (0.6, 0.45), Draws(1, torch.arange(30, 37)), bound)
    assert torch.equal(part.x, whole.x[30:37])
    assert torch.equal(part.calls, whole.calls[30:37])


def test_uniformisation_on_absorbing_is_the_exact_chain_too() -> None:
    fast = misfit_backbone(1, 3, 2)
    x = fast.process.prior(6_000, 2)
    run = uniformise(
        AbsorbingScores(fast), x, (1.0, 0.7, 0.5), Draws(2, torch.arange(6_000)), lambda hi, lo: 1 / lo
    )
    masked = (run.x == 3).sum(1)
    assert stats.chisquare(torch.bincount(masked, minlength=3).numpy(), [1500, 3000, 1500]).pvalue > 0.001
    first = run.x[(run.x[:, 0] < 3) & (run.x[:, 1] == 3)][:, 0]
    expected = features_at(fast, x[:1], 1.0)[0, 0].softmax(-1) * len(first)
    assert stats.chisquare(torch.bincount(first, minlength=3).numpy(), expected.numpy()).pvalue > 0.001


@pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN, Uniform(5)])
def test_the_x0_bound_holds_for_every_x0_law(process) -> None:
    bound, size = x0_rate_bound(process), process.num_states
    x = torch.arange(size)[:, None].expand(size, size).reshape(-1, 1)
    corner = torch.eye(size).double().repeat(size, 1)[:, None]
    for hi, lo in ((0.9, 0.5), (0.5, 0.2), (0.2, 0.05)):
        for t in torch.linspace(lo, hi, 7).tolist():
            scores = X0Scores(process, 1, lambda x, t: corner)
            rates = predict(scores, x, t).rates().sum(-1)
            assert float(rates.max()) <= bound(hi, lo) * (1 + 1e-9)


def test_a_bound_that_is_broken_is_said_so() -> None:
    x = torch.tensor([[0, 2]]).expand(50, 2)
    with pytest.raises(InputError, match=r"bound must be at least the chains' total rate .* larger safety"):
        uniformise(STRONG, x, (0.6, 0.3), Draws(1, torch.arange(50)), lambda hi, lo: 0.4)
    with pytest.raises(InputError, match="times must be two or more, strictly decreasing"):
        uniformise(STRONG, x, (0.3, 0.6), Draws(1, torch.arange(50)), lambda hi, lo: 9.0)
    with pytest.raises(InputError, match="end above 0"):
        x0_rate_bound(Uniform(3, LogLinear()))(0.1, 0.0)


@pytest.mark.parametrize("name", [name for name, each in SAMPLERS.items() if "gaussian" in each.processes])
@pytest.mark.parametrize("backbone", [STRONG, ORDINAL])
def test_generated_samples_follow_the_pushed_law_and_keep_their_prefix(
    name: str, backbone: ExactScores
) -> None:
    """Prior, steps and the final denoise, which is a Tweedie step that removes all noise."""
    size, table = backbone.process.num_states, uniform_times(4)
    prior = backbone.process.prior_probs()
    law = torch.einsum("a,b->ab", prior, prior).flatten()
    assert table.times is not None
    for k, (t, s) in enumerate(zip(table.times[:-2], table.times[1:-1], strict=True)):
        law = law @ step_matrix(SAMPLERS[name], backbone, Step(k, t, s, 1.0, "log_score"))
    clean = ExactScores(type(backbone.process).from_dict(backbone.process.to_dict()), backbone.joint)
    x, last = all_states(size, 2), table.times[-2]
    sigma_bar = float(backbone.process.noise.sigma_bar(torch.tensor(last, dtype=torch.float64)))
    one = torch.linalg.matrix_exp(sigma_bar * backbone.process.rate_matrix())
    raw = (clean.score(x, torch.full((len(x),), last, dtype=torch.float64)) @ one.inverse()) * one.T[x]
    law = law @ torch.einsum("na,nb->nab", raw[:, 0], raw[:, 1]).flatten(1)
    samples = generate(backbone, name, table, 4_000, seed=3, batch=1_000)
    assert chi_square(samples.tokens, law.clamp(min=0), size) > 0.001
    calls = SAMPLERS[name].calls_per_step
    assert samples.calls.unique().tolist() == [3 * calls + 1]
    few, many = (generate(backbone, name, table, n, seed=3, batch=12) for n in (16, 32))
    assert torch.equal(few.tokens, many.tokens[:16])
    assert torch.equal(many.tokens, samples.tokens[:32])


def test_finer_grids_reach_the_data() -> None:
    law, exact = [], STRONG.joint.flatten()
    for steps in (4, 16):
        samples = generate(STRONG, "tweedie", uniform_times(steps), 8_000, seed=1, batch=2_000)
        law.append(torch.bincount(number_of(samples.tokens, 3), minlength=9) / 8_000)
    assert tv(law[1], exact) < 0.6 * tv(law[0], exact)
    assert tv(law[1], exact) < 0.05


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match=r"sampler must be one of .*'euler'"):
        generate(STRONG, "first_hitting", uniform_times(2), 4, seed=0)
    assert Absorbing(3).num_states == 4
