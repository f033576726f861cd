"""Laws of one step against formulas computed another way, and Euler's order."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Geometric, LogLinear
from lsd_core.samplers.euler import Euler, Tweedie
from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    exact_backbone,
    exact_law,
    features_at,
    fitted_order,
    joint_law,
    misfit_backbone,
    push,
    seen_at,
    transition,
    tv,
)

STEPS = [
    Step(0, 1.0, 0.7, 1.0, "log_score"),
    Step(1, 0.7, 0.25, 1.0, "score"),
    Step(2, 0.25, 0.05, 1.0, "score"),
]
BACKBONES = {
    "exact": exact_backbone(joint_law(0, 3, 3, 1.0)),
    "misfit": misfit_backbone(1, 3, 3),
    "timed": misfit_backbone(2, 3, 3, timed=True),
    "unnormalised": misfit_backbone(3, 3, 3, timed=True, normalised=False),
    "geometric": misfit_backbone(4, 3, 3, noise=Geometric(1e-2, 5.0)),
}


def dense_law(sampler, backbone: TableBackbone, step: Step) -> torch.Tensor:
    x = all_states(backbone.process.num_states, backbone.length)
    return sampler.kernel(seen_at(backbone, x, step), step).probs


def concrete_score(backbone: TableBackbone, t: float) -> torch.Tensor:
    """Score (N, l, S) at masked positions from the normalised table, written from its definition."""
    process = backbone.process
    x = all_states(process.num_states, backbone.length)
    time = torch.tensor(t, dtype=torch.float64)
    p = features_at(backbone, x, t).log_softmax(-1).exp()
    alpha = torch.exp(-process.noise.sigma_bar(time))
    score = torch.zeros(*x.shape, process.num_states, dtype=torch.float64)
    score[..., :-1] = p * alpha / (1 - alpha)
    score[x != process.mask] = 0.0
    return score.scatter(-1, x[..., None], 1.0)


@pytest.mark.parametrize("name", ["exact", "misfit", "timed", "unnormalised", "geometric"])
@pytest.mark.parametrize("step", STEPS[1:])
def test_euler_law_is_delta_plus_step_times_reverse_rate(name: str, step: Step) -> None:
    backbone = BACKBONES[name]
    process, x = backbone.process, all_states(backbone.process.num_states, 3)
    # reverse rate from x_i to y: rate(t) Q(y, x_i) score[i, y]
    into = process.rate_matrix().T[x]
    rate = float(process.noise.rate(torch.tensor(step.t, dtype=torch.float64))) * into
    rate = rate * concrete_score(backbone, step.t)
    rate.scatter_(-1, x[..., None], 0.0)
    rate.scatter_(-1, x[..., None], -rate.sum(-1, keepdim=True))
    expected = torch.nn.functional.one_hot(x, process.num_states) + (step.t - step.s) * rate
    law = dense_law(Euler(), backbone, step)
    if expected.min() < 0:  # steps too long for frozen rates: the chance is capped at 1
        masked = x == process.mask
        assert torch.equal(law[..., -1][masked], torch.zeros(int(masked.sum()), dtype=torch.float64))
    else:
        torch.testing.assert_close(law, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", ["exact", "misfit", "timed", "unnormalised", "geometric"])
@pytest.mark.parametrize("step", STEPS)
def test_tweedie_law_is_staggered_score_times_transposed_transition(name: str, step: Step) -> None:
    backbone = BACKBONES[name]
    process, x = backbone.process, all_states(backbone.process.num_states, 3)
    t, s = (torch.tensor(value, dtype=torch.float64) for value in (step.t, step.s))
    growth = process.noise.sigma_bar(t) - process.noise.sigma_bar(s)
    forward = torch.linalg.matrix_exp(growth * process.rate_matrix())
    backward = torch.linalg.matrix_exp(-growth * process.rate_matrix())
    staggered = concrete_score(backbone, step.t) @ backward  # p_s(y) / p_t(x)
    expected = staggered * forward.T[x]  # times p(x at t | y at s)
    torch.testing.assert_close(dense_law(Tweedie(), backbone, step), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", ["exact", "misfit", "timed", "unnormalised"])
@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("gain_on", ["score", "log_score"])
@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.2])
def test_euler_and_tweedie_are_one_law_on_log_linear_absorbing(name, gain, gain_on, eps) -> None:
    backbone = BACKBONES[name]
    table = TableBackbone(backbone.table, 3, late=backbone.late, noise=LogLinear(eps))
    for t, s in ((1.0, 0.6), (0.6, 0.3), (0.3, 0.0)):
        step = Step(0, t, s, gain, gain_on)
        euler, tweedie = dense_law(Euler(), table, step), dense_law(Tweedie(), table, step)
        torch.testing.assert_close(euler, tweedie, atol=1e-12, rtol=0)


@pytest.mark.parametrize("sampler", [Euler(), Tweedie()])
def test_a_score_gain_changes_how_many_and_a_log_score_gain_which(sampler) -> None:
    backbone = BACKBONES["misfit"]
    x = all_states(4, 3)
    masked = x == backbone.process.mask

    def split(gain: float, gain_on) -> tuple[torch.Tensor, torch.Tensor]:
        law = dense_law(sampler, backbone, Step(0, 0.8, 0.6, gain, gain_on))[masked]
        return 1 - law[:, -1], law[:, :-1] / (1 - law[:, -1:])

    chance, tokens = split(1.0, "score")
    more, same = split(1.7, "score")
    torch.testing.assert_close(more, 1.7 * chance, atol=1e-12, rtol=0)
    torch.testing.assert_close(same, tokens, atol=1e-12, rtol=0)
    kept, sharper = split(1.7, "log_score")
    torch.testing.assert_close(kept, chance, atol=1e-12, rtol=0)
    torch.testing.assert_close(sharper, tokens**1.7 / (tokens**1.7).sum(-1, keepdim=True), atol=1e-12, rtol=0)
    capped, _ = split(100.0, "score")
    assert torch.equal(capped, torch.ones_like(capped))


def test_the_last_step_reveals_everything_whatever_the_gain() -> None:
    law = dense_law(Euler(), BACKBONES["misfit"], Step(3, 0.2, 0.0, 0.1, "score"))
    assert float(law[..., -1].max()) == 0.0


def test_fixed_counts_reveals_every_subset_alike() -> None:
    backbone = BACKBONES["misfit"]
    x = torch.full((1, 3), backbone.process.mask)
    step = Step(0, 1.0, 0.25, 1.0, "log_score", counts=(3, 1))
    law = transition(FixedCounts().kernel(seen_at(backbone, x, step), step))[0].view(4, 4, 4)
    p = features_at(backbone, x, 1.0)[0].softmax(-1)
    expected = torch.zeros(4, 4, 4, dtype=torch.float64)
    expected[:3, :3, 3] = torch.einsum("a,b->ab", p[0], p[1]) / 3
    expected[:3, 3, :3] = torch.einsum("a,b->ab", p[0], p[2]) / 3
    expected[3, :3, :3] = torch.einsum("a,b->ab", p[1], p[2]) / 3
    torch.testing.assert_close(law, expected, atol=1e-12, rtol=0)
    dense = FixedCounts().kernel(seen_at(backbone, x, step), step).probs[0]
    marginals = torch.stack([law.sum((1, 2)), law.sum((0, 2)), law.sum((0, 1))])
    torch.testing.assert_close(dense, marginals, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["exact", "misfit", "timed"])
@pytest.mark.parametrize("sampler", [Euler(), Tweedie()])
def test_euler_is_first_order_in_total_variation(name: str, sampler) -> None:
    backbone = BACKBONES[name]
    steps, target = [16, 32, 64, 128], exact_law(backbone)
    error = [tv(push(sampler, backbone, uniform_times(m)), target) for m in steps]
    assert abs(fitted_order(steps, error) - 1) < 0.2


def test_one_reveal_a_step_is_the_exact_chain() -> None:
    backbone = BACKBONES["misfit"]
    law = push(FixedCounts(), backbone, StepTable(counts=(3, 2, 1, 0)))
    assert tv(law, exact_law(backbone)) < 1e-12


def test_the_exact_chain_of_exact_conditionals_has_the_data_law() -> None:
    joint = joint_law(0, 3, 3, 1.0)
    law = exact_law(BACKBONES["exact"]).view(4, 4, 4)[:3, :3, :3]
    torch.testing.assert_close(law, joint, atol=1e-12, rtol=0)


def test_fixed_counts_beats_bernoulli_reveals() -> None:
    backbone = exact_backbone(joint_law(5, 3, 3, 2.0))
    target = exact_law(backbone)
    counts = tv(push(FixedCounts(), backbone, StepTable(counts=(3, 2, 0))), target)
    times = tv(push(Euler(), backbone, uniform_times(2)), target)
    assert counts < times


def test_absorbing_law_key_follows_the_noise() -> None:
    from lsd_core.samplers.catalog import kernel_key

    assert kernel_key("tweedie", Absorbing(3)) == kernel_key("euler", Absorbing(3)) == "euler"
    assert kernel_key("tweedie", Absorbing(3, Geometric())) == "tweedie"


def test_fixed_counts_refuses_a_grid_of_times():
    backbone = BACKBONES["exact"]
    x = all_states(backbone.process.num_states, backbone.length)
    with pytest.raises(InputError, match="grid of counts"):
        FixedCounts().kernel(seen_at(backbone, x, STEPS[1]), STEPS[1])
