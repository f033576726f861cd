"""The compatibility modes do what the released code does, and nothing else does."""

import pytest
import torch
from scipy import stats

from lsd_core.errors import InputError
from lsd_core.samplers.catalog import SAMPLERS, get_sampler
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.compatibility import COMPATIBILITY, draw_released
from lsd_core.samplers.loop import generate
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.oracles import (
    all_states,
    chi_square,
    exact_backbone,
    features_at,
    joint_law,
    misfit_backbone,
    push,
    seen_at,
)

RAW = misfit_backbone(3, 3, 3, timed=True, normalised=False)
TABLES = [
    StepTable(times=(1.0, 0.55, 0.2, 0.0), gains=(1.5, 0.7, 1.0), gain_on="score"),
    StepTable(times=(1.0, 0.55, 0.2, 0.0), gains=(1.5, 0.7, 1.0), gain_on="log_score"),
]


def dense(name: str, step: Step) -> torch.Tensor:
    x = all_states(4, 3)
    return COMPATIBILITY[name].kernel(seen_at(RAW, x, step), step).probs


@pytest.mark.parametrize("name", ["euler_raw", "tweedie_raw"])
@pytest.mark.parametrize("gain_on", ["score", "log_score"])
def test_raw_rows_reveal_by_their_own_sums(name: str, gain_on) -> None:
    """r_i = min(1, phi c S_i) with S_i the row sum of the (powered) concrete score."""
    step, eps = Step(0, 0.7, 0.45, 1.3, gain_on), 1e-3
    x = all_states(4, 3)
    alpha_t, alpha_s = 1 - (1 - eps) * 0.7, 1 - (1 - eps) * 0.45
    score = features_at(RAW, x, 0.7).exp() * alpha_t / (1 - alpha_t)
    c = 0.25 * (1 - eps) / alpha_t if name == "euler_raw" else alpha_s / alpha_t - 1
    score = 1.3 * score if gain_on == "score" else score**1.3
    total = score.sum(-1)
    expected = torch.cat(
        [
            score / total[..., None] * (c * total).clamp(max=1)[..., None],
            1 - (c * total).clamp(max=1)[..., None],
        ],
        -1,
    )
    masked = x == 3
    law = dense(name, step)
    torch.testing.assert_close(law[masked], expected[masked], atol=1e-10, rtol=0)
    assert float(law[masked][:, -1].max() - law[masked][:, -1].min()) > 0.05, "the rows should differ"
    assert bool((law[~masked].max(-1).values == 1).all())


def test_raw_rows_of_a_normalised_network_change_nothing() -> None:
    backbone = exact_backbone(joint_law(0, 3, 3, 1.0))
    x, step = all_states(4, 3), Step(0, 0.7, 0.3, 1.2, "score")
    seen = seen_at(backbone, x, step)
    for raw, plain in (("euler_raw", "euler"), ("tweedie_raw", "tweedie")):
        ours = COMPATIBILITY[raw].kernel(seen, step).probs
        torch.testing.assert_close(
            ours,
            SAMPLERS[plain].kernel(seen, step).probs,
            atol=1e-12,
            rtol=0,  # type: ignore[attr-defined]
        )


@pytest.mark.parametrize("name", list(COMPATIBILITY))
@pytest.mark.parametrize("table", TABLES)
def test_draws_follow_the_raw_law(name: str, table: StepTable) -> None:
    """With three tokens nothing is rare, and the released draw is as good as the exact one."""
    samples = generate(RAW, name, table, 10_000, seed=7, batch=10_000)
    assert chi_square(samples.tokens, push(COMPATIBILITY[name], RAW, table), 4) > 0.001
    few = generate(RAW, name, table, 16, seed=7, batch=8)
    assert torch.equal(few.tokens, samples.tokens[:16])
    assert int(samples.calls.max()) <= table.num_steps


def law_of_released_draw(probs: torch.Tensor, eps: float) -> torch.Tensor:
    """Exact law of argmax p_y / (eps + X_y), X exponential: a race in which y may win from time eps / p_y on.

    By time w the others have let it live with chance exp(-A(w)), A(w) = sum_y (p_y w - eps)_+.
    """
    ordered, index = probs.sort(descending=True)
    entry, hazard = eps / ordered, ordered.cumsum(0)
    alive = torch.exp(eps * torch.arange(1, len(ordered) + 1) - hazard * entry)
    later = torch.cat([alive[1:], alive.new_zeros(1)])
    window = ((alive - later) / hazard).flip(0).cumsum(0).flip(0)
    return torch.empty_like(probs).index_copy(0, index, ordered * window)


def test_the_released_draw_cuts_the_tail() -> None:
    """Zipf over 50257 tokens, revealed with chance 1/8 as in a first step of 8.

    Exact: a fifth of the reveals lies beyond rank 5000. Released: 0.067 of them, at 0.84 of the rate.
    """
    weights = 1 / torch.arange(1, 50_258, dtype=torch.float64)
    tokens = weights / weights.sum()
    probs = torch.cat([tokens / 8, torch.tensor([7 / 8], dtype=torch.float64)])
    biased = law_of_released_draw(probs, 1e-6)
    reveal, tail = float(biased[:-1].sum()), float(biased[5_000:-1].sum())
    assert float(tokens[5_000:].sum()) == pytest.approx(0.2, abs=0.01)
    assert (8 * reveal, tail / reveal) == pytest.approx((0.836, 0.067), abs=0.001)
    gen, rows = torch.Generator().manual_seed(1), 3_000
    uniform = (torch.rand(100, len(probs), generator=gen) for _ in range(rows // 100))
    drawn = torch.cat([draw_released(probs.float().expand(100, -1), each) for each in uniform])
    in_tail = (drawn >= 5_000) & (drawn < 50_257)
    assert stats.binomtest(int((drawn < 50_257).sum()), rows, reveal).pvalue > 0.001
    assert stats.binomtest(int(in_tail.sum()), rows, tail).pvalue > 0.001
    assert stats.binomtest(int(in_tail.sum()), rows, 0.2 / 8).pvalue < 1e-6, "the bias is not there"
    kept = draw_categorical(tokens.expand(500, -1), torch.rand(500, generator=gen, dtype=torch.float64))
    assert stats.binomtest(int((kept >= 5_000).sum()), 500, 0.2).pvalue > 0.001


def test_compatibility_modes_have_names_of_their_own_and_are_not_offered() -> None:
    assert not set(COMPATIBILITY) & set(SAMPLERS)
    for name in COMPATIBILITY:
        assert get_sampler(name, RAW.process).name == name
    with pytest.raises(InputError) as error:
        get_sampler("nonsense", RAW.process)
    assert not any(name in str(error.value) for name in COMPATIBILITY)
    with pytest.raises(InputError, match="table of euler_raw must hold times"):
        generate(RAW, "euler_raw", StepTable(counts=(3, 0)), 4, seed=0)


def test_chains_that_finish_early_stop_costing() -> None:
    table = uniform_times(3)
    table = StepTable(times=table.times, gains=(50.0,) * 3, gain_on="score")
    for name in COMPATIBILITY:
        assert int(generate(RAW, name, table, 4, seed=0, batch=2).calls.max()) == 1
