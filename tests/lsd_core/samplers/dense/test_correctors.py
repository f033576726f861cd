"""Stratified hazards, Gibbs corrections and Psi steps without a mask: distributions, limits, draws and calls."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Geometric, Uniform
from lsd_core.samplers.catalog import SAMPLERS, certifiable, num_steps
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.full import FullPrediction, predict
from lsd_core.samplers.gibbs import Gibbs
from lsd_core.samplers.least_confident import choose, log_margin, sizes
from lsd_core.samplers.loop import generate
from lsd_core.samplers.psi import Psi
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.stratified_hazards import StratifiedHazards
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.oracles import all_states, chi_square, joint_law, product_law
from tests.lsd_core.samplers.choices import chances_of_sets
from tests.lsd_core.samplers.dense.oracles import ExactScores, gibbs_matrix

UNIFORM = Uniform(3, Geometric(1e-2, 6.0))
STRONG = ExactScores(UNIFORM, joint_law(0, 3, 2, 2.0))
MISFIT = ExactScores(UNIFORM, joint_law(0, 3, 2, 0.5), misfit=0.4)
THREE = ExactScores(Uniform(2, Geometric(1e-2, 6.0)), joint_law(3, 2, 3, 1.5))
X2 = all_states(3, 2)
STEP = Step(0, 0.9, 0.45, 1.0, "score")


def run(method, backbone: ExactScores, table: StepTable, draws: Draws) -> Tensor:
    state = start(backbone, draws)
    for step in steps_of(table, backbone.length):
        state = method.step(backbone, state, step, draws)
    return state.x


def kernels(backbone: ExactScores, table: StepTable) -> list[Tensor]:
    """Tweedie's distributions (N, l, s) of each step, the last of them the denoise."""
    steps = list(steps_of(table, 2))
    return [predict(backbone, X2, step.t, step).tweedie(step.s).probs for step in steps]


def shares(kernel: Tensor, state: int) -> list[list[float]]:
    """For each position the chance of every token after a step from this state."""
    return [kernel[state, i].tolist() for i in range(2)]


def stratified(backbone: ExactScores, table: StepTable) -> Tensor:
    """Output by the definition: over all paths, the measure of the phases u with a jump where u + sum m passes one.

    Along a path the accumulated masses are known, and n jumps by a step mean n <= u + sum m < n + 1.
    """
    steps, law = kernels(backbone, table), torch.zeros(9, dtype=torch.float64)
    tables = [[shares(kernel, state) for state in range(9)] for kernel in steps]
    number = {(a, b): 3 * a + b for a, b in product(range(3), repeat=2)}

    def go(k: int, here: int, chance: float, passed: list[tuple[float, int, float, float]]) -> None:
        if k == len(steps) - 1:
            width = math.prod(max(0.0, high - low) for _, _, low, high in passed)
            law.add_(chance * width * product_law(steps[k][here : here + 1])[0])
            return
        x = (here // 3, here % 3)
        for after in product(range(3), repeat=2):
            factor, grown = chance, []
            for i, (total, jumps, low, high) in enumerate(passed):
                probs = tables[k][here][i]
                if probs[after[i]] == 0:  # an inexact network's, clamped
                    factor = 0.0
                    break
                mass = sum(p for y, p in enumerate(probs) if y != x[i])
                total, jumps = total + mass, jumps + int(after[i] != x[i])
                factor *= probs[after[i]] / mass if after[i] != x[i] else 1.0
                grown.append((total, jumps, max(low, jumps - total), min(high, jumps + 1 - total)))
            if factor > 0:
                go(k + 1, number[after], factor, grown)

    for begin in range(9):
        go(0, begin, 1 / 9, [(0.0, 0, 0.0, 1.0)] * 2)
    return law


def cells(kernel: Tensor, second: Tensor) -> Tensor:
    """Phases at which the jumps of two steps may change, of any position and path: from the masses alone."""
    one = 1 - kernel.gather(-1, X2[..., None])[..., 0].flatten()
    two = 1 - second.gather(-1, X2[..., None])[..., 0].flatten()
    sums = torch.cat([one, (one[:, None] + two).flatten()])
    edges = torch.cat([1 - sums, 2 - sums, torch.tensor([0.0, 1.0]).double()])
    return edges[(edges >= 0) & (edges <= 1)].unique()


@pytest.mark.parametrize("backbone", [STRONG, MISFIT])
def test_stratified_steps_have_the_distribution_of_their_definition(backbone: ExactScores) -> None:
    """The kernel is integrated over the phases exactly: it is constant between the edges."""
    table = uniform_times(3)
    first, second, last = steps_of(table, 2)
    early, late, denoise = kernels(backbone, table)
    edges = cells(early, late)
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1:] - edges[:-1]
    method, law = StratifiedHazards(), torch.zeros(9, dtype=torch.float64)
    seen_second = predict(backbone, X2, second.t, second)
    # positions are independent given the state, so each is integrated by itself for every next state
    for begin in range(9):
        x = X2[begin].expand(len(middle), 2)
        seen = predict(backbone, x, first.t, first)
        kernel, phase = method.kernel(seen, first, middle[:, None].expand(-1, 2))
        for onto in range(9):
            chance = kernel.probs.gather(-1, X2[onto].expand(len(middle), 2)[..., None])[..., 0]
            again = seen_second[torch.full((len(middle),), onto)]
            after = method.kernel(again, second, phase)[0].probs
            each = torch.einsum("c,ci,cis->is", width, chance, after)
            law += (product_law(each[None])[0] / 9) @ product_law(denoise)
    assert last.last
    torch.testing.assert_close(law, stratified(backbone, table), atol=1e-10, rtol=0)
    assert float((law - plain(backbone, table)).abs().max()) > 1e-3  # a coin a step is something else


def plain(backbone: ExactScores, table: StepTable) -> Tensor:
    law = torch.full((9,), 1 / 9, dtype=torch.float64)
    for kernel in kernels(backbone, table):
        law = law @ product_law(kernel)
    return law


def test_the_first_stratified_step_is_tweedies_and_draws_follow_the_definition() -> None:
    two = uniform_times(2)  # one step and the denoise
    torch.testing.assert_close(stratified(MISFIT, two), plain(MISFIT, two), atol=1e-12, rtol=0)
    table = uniform_times(4)
    MISFIT.sequences = 0
    samples = generate(MISFIT, "stratified_hazards", table, 20_000, seed=3, batch=20_000)
    assert MISFIT.sequences == 80_000
    assert samples.calls.unique().tolist() == [4]
    assert chi_square(samples.tokens, stratified(MISFIT, table), 3) > 0.001
    few = generate(MISFIT, "stratified_hazards", table, 16, seed=3, batch=8)
    assert torch.equal(few.tokens, samples.tokens[:16])


def test_a_position_jumps_as_often_as_its_mass_says() -> None:
    """floor(phase + accumulated mass), in every chain: no more than one off, where coins are several."""
    table, method, draws = uniform_times(12), StratifiedHazards(), Draws(7, torch.arange(400))
    state = start(STRONG, draws)
    jumps, mass = torch.zeros(400, 2), torch.zeros(400, 2, dtype=torch.float64)
    for step in list(steps_of(table, 2))[:-1]:
        probs = predict(STRONG, state.x, step.t, step).tweedie(step.s).probs
        mass += 1 - probs.gather(-1, state.x[..., None])[..., 0]
        after = method.step(STRONG, state, step, draws)
        jumps += after.x != state.x
        state = after
    phase = uniform_grid(7, torch.arange(400), 0, 2, Purpose.ORDER)
    assert torch.equal(jumps.double(), (phase + mass).floor())
    assert float(mass.max()) > 2


@pytest.mark.parametrize("name", ["stratified_hazards", "gibbs", "psi"])
def test_none_of_them_has_a_certificate_and_all_stay_within_the_budget(name: str) -> None:
    assert not certifiable(SAMPLERS[name])
    for nfe in (1, 4, 5):
        STRONG.sequences = 0
        table = uniform_times(num_steps(name, nfe, UNIFORM))
        samples = generate(STRONG, name, table, 6, seed=0, batch=3)
        assert int(samples.calls.max()) <= nfe
        assert STRONG.sequences == int(samples.calls.sum())


def conditional(law: Tensor, shape: tuple[int, ...]) -> Tensor:
    """p(x_i = y | others) (N, l, s) of a distribution over states."""
    joint = law.view(shape)
    each = [(joint / joint.sum(i, keepdim=True)).movedim(i, -1) for i in range(len(shape))]
    x = all_states(shape[0], len(shape))
    rows = []
    for i, table in enumerate(each):
        others = [x[:, j] for j in range(len(shape)) if j != i]
        rows.append(table[tuple(others)])
    return torch.stack(rows, dim=1)


def ours(method: Gibbs, backbone: ExactScores, step: Step) -> Tensor:
    """The same from the method's own conditionals, weights and number of positions."""
    size, length = backbone.process.num_states, backbone.length
    x = all_states(size, length)
    seen = predict(backbone, x, step.s, step)
    given, everywhere = method.conditional(seen).probs, torch.ones_like(x, dtype=torch.bool)
    weights = method.log_weights(log_margin(given.log(), x), everywhere).exp()
    number = sizes(method.share, everywhere)
    stay = torch.nn.functional.one_hot(x, size).double()
    matrix = torch.zeros(len(x), len(x), dtype=torch.float64)
    for state in range(len(x)):
        for chosen, chance in chances_of_sets(weights[state], int(number[state])).items():
            each = stay[state].clone()
            each[list(chosen)] = given[state, list(chosen)]
            matrix[state] += chance * product_law(each[None])[0]
    return matrix


@pytest.mark.parametrize(("share", "size"), [(0.1, 1), (0.6, 2), (1.0, 3)])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_a_gibbs_correction_has_the_distribution_of_its_definition(
    share: float, size: int, temperature: float
) -> None:
    """The definition from p_s itself, the method from the network's scores."""
    given = conditional(THREE.law_at(STEP.s), (2, 2, 2))
    expected = gibbs_matrix(given, all_states(2, 3), size, temperature)
    found = ours(Gibbs(share, temperature), THREE, STEP)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    assert float((found - torch.eye(8)).abs().max()) > 0.1


def test_one_random_position_leaves_the_networks_distribution_alone() -> None:
    law = THREE.law_at(STEP.s)
    random = ours(Gibbs(0.1, 1e12), THREE, STEP)
    torch.testing.assert_close(law @ random, law, atol=1e-10, rtol=0)
    wrong = torch.full((8,), 1 / 8, dtype=torch.float64)
    assert float((wrong @ random - law).abs().sum()) < 0.9 * float((wrong - law).abs().sum())


@pytest.mark.parametrize("method", [Gibbs(), Gibbs(1.0, 0.5)], ids=["one", "all"])
def test_gibbs_draws_follow_the_pushed_distribution(method: Gibbs) -> None:
    table = uniform_times(4)
    law = torch.full((9,), 1 / 9, dtype=torch.float64)
    for step, kernel in zip(steps_of(table, 2), kernels(MISFIT, table), strict=True):
        law = law @ product_law(kernel)
        if not step.last:
            scores = MISFIT.score(X2, torch.full((9,), step.s, dtype=torch.float64))
            given = scores / scores.sum(-1, keepdim=True)
            law = law @ gibbs_matrix(given, X2, 2 if method.share == 1 else 1, method.temperature)
    x = run(method, MISFIT, table, Draws(5, torch.arange(20_000)))
    assert chi_square(x, law, 3) > 0.001


@pytest.mark.parametrize("off", [Gibbs(0.0), Psi(1.0)], ids=["gibbs", "psi"])
def test_with_the_corrector_off_they_draw_what_tweedie_draws(off) -> None:
    draws, table = Draws(2, torch.arange(500)), uniform_times(5)
    assert torch.equal(run(off, MISFIT, table, draws), run(Tweedie(), MISFIT, table, draws))
    on = Psi(0.5) if isinstance(off, Psi) else Gibbs()
    assert not torch.equal(run(on, MISFIT, table, draws), run(Tweedie(), MISFIT, table, draws))


def test_psi_is_the_mixture_of_posterior_and_fresh_noise() -> None:
    """Both parts by Bayes' rule from the data, position by position."""
    grown = [float(UNIFORM.noise.sigma_bar(torch.tensor(u, dtype=torch.float64))) for u in (STEP.t, STEP.s)]
    to_t, to_s = (UNIFORM.transition(each) for each in grown)
    between = UNIFORM.transition(grown[0] - grown[1])
    expected = torch.zeros(9, 2, 3, dtype=torch.float64)
    for state, (a, b) in enumerate(X2.tolist()):
        joint = STRONG.joint * to_t[:, a, None] * to_t[None, :, b]
        joint = joint / joint.sum()
        for i, (clean, here) in enumerate(((joint.sum(1), a), (joint.sum(0), b))):
            posterior = to_s * between[:, here] / to_t[:, here, None]  # [x_0, x_s]
            expected[state, i] = 0.7 * clean @ posterior + 0.3 * clean @ to_s
    found = Psi(0.7).kernel(predict(STRONG, X2, STEP.t, STEP), STEP).probs
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_a_psi_step_keeps_the_marginals_of_one_token() -> None:
    one = ExactScores(UNIFORM, joint_law(4, 3, 1, 1.0))
    kernel = Psi(0.4).kernel(predict(one, all_states(3, 1), STEP.t, STEP), STEP).probs[:, 0]
    torch.testing.assert_close(one.law_at(STEP.t) @ kernel, one.law_at(STEP.s), atol=1e-10, rtol=0)


def test_the_conditional_is_that_of_diffusers_leave_one_out_corrector() -> None:
    """Cat(alpha x0_loo + (1 - alpha) / V) of a network that predicts the clean token."""
    module = pytest.importorskip("diffusers.schedulers.scheduling_discrete_ddim")
    x, s = all_states(3, 2), 0.6
    logits = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alpha = math.exp(-float(UNIFORM.noise.sigma_bar(torch.tensor(s, dtype=torch.float64))))
    loo = module.DiscreteDDIMScheduler._to_loo_logits(logits, x, alpha).softmax(-1)
    found = Gibbs().conditional(FullPrediction(UNIFORM, x, s, given_x0=logits.softmax(-1)))
    torch.testing.assert_close(found.probs, alpha * loo + (1 - alpha) / 3, atol=1e-10, rtol=0)


def test_the_least_confident_are_chosen_by_their_chances() -> None:
    weights = torch.tensor([0.6, 0.0, 1.7, 0.3], dtype=torch.float64)
    draws = Draws(1, torch.arange(20_000))
    chosen = choose(weights.log().expand(20_000, 4), torch.full((20_000,), 2), draws, 3)
    law = torch.zeros(16, dtype=torch.float64)
    for positions, chance in chances_of_sets(weights, 2).items():
        law[sum(8 >> i for i in positions)] = chance
    assert chi_square(chosen.long(), law, 2) > 0.001
    margin = log_margin(torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([1]))
    assert float(margin) == pytest.approx(math.log(0.3 / 0.5))
    candidates = torch.tensor([[True] * 5, [False] * 5, [True, False, False, False, False]])
    assert sizes(0.5, candidates).tolist() == [2, 0, 1]
    assert sizes(0.0, candidates).tolist() == [0, 0, 0]


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(InputError, match=r"share must lie in \[0, 1\]"):
        Gibbs(1.5)
    with pytest.raises(InputError, match="temperature must be positive"):
        Gibbs(0.1, 0.0)
    with pytest.raises(InputError, match=r"kappa must lie in \[0, 1\]"):
        Psi(-0.1)
