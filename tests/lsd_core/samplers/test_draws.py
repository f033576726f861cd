"""Draws follow their laws, do not depend on the batch, and cost what they say."""

import pytest
import torch
from scipy import stats

from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.catalog import SAMPLERS, in_order_of
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.types import TIME_GRID
from tests.lsd_core.oracles import (
    TableBackbone,
    chi_square,
    exact_backbone,
    exact_law,
    joint_law,
    misfit_backbone,
    push_named,
)

BACKBONES = {
    "exact": exact_backbone(joint_law(0, 3, 3, 1.0)),
    "timed": misfit_backbone(2, 3, 3, timed=True),
    "unnormalised": misfit_backbone(3, 3, 3, timed=True, normalised=False),
}
TIMES = StepTable(times=(1.0, 0.55, 0.2, 0.0), gains=(1.5, 0.7, 1.0), gain_on="log_score")
REVEALS = StepTable(times=(1.0, 0.55, 0.2, 0.0), gains=(1.5, 0.7, 1.0), gain_on="score")
COUNTS = StepTable(counts=(3, 2, 0), gains=(1.5, 0.7), gain_on="log_score")
ONCE = StepTable(counts=(3, 0))
LAWS = [
    ("euler", TIMES),
    ("euler", REVEALS),
    ("tweedie", TIMES),
    ("fixed_counts", COUNTS),
    ("halton", COUNTS),
    ("halton", ONCE),
    ("tau_leaping", REVEALS),
    ("tau_leaping_corrected", REVEALS),
    ("theta_rk2", TIMES),
    ("theta_rk2", ONCE),
    ("theta_trapezoidal", REVEALS),
    ("theta_trapezoidal", ONCE),
    ("balanced_split", REVEALS),
    ("balanced_split", ONCE),
    ("balanced_split", COUNTS),
]


@pytest.mark.parametrize(("sampler", "table"), LAWS)
@pytest.mark.parametrize("name", list(BACKBONES))
def test_draws_follow_the_pushed_law(sampler: str, table: StepTable, name: str) -> None:
    backbone = BACKBONES[name]
    samples = generate(backbone, sampler, table, 20_000, seed=11, batch=20_000)
    assert chi_square(samples.tokens, push_named(SAMPLERS[sampler], backbone, table), 4) > 0.001


@pytest.mark.parametrize("name", list(BACKBONES))
def test_first_hitting_draws_follow_the_exact_law(name: str) -> None:
    backbone = BACKBONES[name]
    paths = first_hitting(backbone, Draws(3, torch.arange(20_000)))
    assert chi_square(paths.x_end.long(), exact_law(backbone), 4) > 0.001


def test_first_hitting_times_are_uniform_and_ranks_order_them() -> None:
    paths = first_hitting(BACKBONES["timed"], Draws(5, torch.arange(5_000)))
    ticks, rank = paths.reveal_time.long(), paths.rank.long()
    assert int(ticks.min()) >= 0
    assert int(ticks.max()) < TIME_GRID
    assert stats.kstest((ticks.flatten().double() / TIME_GRID).numpy(), "uniform").pvalue > 0.001
    assert torch.equal(rank.sort(1).values, torch.arange(3).expand(5_000, 3))
    in_order = ticks.gather(1, rank.argsort(1))
    assert bool((in_order[:, :-1] >= in_order[:, 1:]).all())


def test_draw_categorical_gives_each_index_its_interval() -> None:
    probs = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]]).double()
    uniform = torch.tensor([0.0, 0.2499999, 0.25, 0.7499999, 0.75, 1 - 2**-53]).double()
    index = draw_categorical(probs.expand(6, 6), uniform)
    assert index.tolist() == [1, 1, 3, 3, 4, 4]
    assert torch.equal(draw_categorical(7.3 * probs.expand(6, 6), uniform), index)


def test_draw_categorical_never_draws_the_impossible_near_one() -> None:
    gen = torch.Generator().manual_seed(0)
    probs = torch.rand(2_000, 9, generator=gen, dtype=torch.float64) ** 3
    probs[:, 5:] = 0.0
    top = torch.full((2_000,), 1 - 2**-53, dtype=torch.float64)
    assert torch.equal(draw_categorical(probs, top), torch.full((2_000,), 4))


def test_draw_categorical_keeps_the_tail() -> None:
    """A Zipf law over 50257 tokens: the mass beyond rank 5000 is drawn as often as it should be."""
    weights = 1 / torch.arange(1, 50_258).double()
    tail = float(weights[5_000:].sum() / weights.sum())
    uniform = uniform_grid(0, torch.arange(1), 0, 4_000, Purpose.TOKEN)[0]
    drawn = torch.cat([draw_categorical(weights.expand(len(u), -1), u) for u in uniform.split(200)])
    count = int((drawn >= 5_000).sum())
    assert stats.binomtest(count, 4_000, tail).pvalue > 0.001
    rare = torch.tensor([[1.0, 1e-12, 1e-14]], dtype=torch.float64)
    assert int(draw_categorical(rare, torch.tensor([1 - 5e-13], dtype=torch.float64))) == 1


ALL = [
    (name, in_order_of(name, table))
    for name in SAMPLERS
    for table in (TIMES, COUNTS)
    if ("times" if table is TIMES else "counts") in SAMPLERS[name].grids
    and "absorbing" in SAMPLERS[name].processes
]


@pytest.mark.parametrize(("sampler", "table"), ALL)
@pytest.mark.parametrize("name", ["exact", "timed"])
def test_few_samples_begin_many_samples(sampler: str, table: StepTable, name: str) -> None:
    backbone = BACKBONES[name]
    many = generate(backbone, sampler, table, 32, seed=4, batch=12)
    few = generate(backbone, sampler, table, 16, seed=4, batch=12)
    later = generate(backbone, sampler, table, 3, seed=4, first=13, batch=12)
    other = generate(backbone, sampler, table, 32, seed=4, batch=32)
    assert torch.equal(few.tokens, many.tokens[:16])
    assert torch.equal(few.calls, many.calls[:16])
    assert torch.equal(later.tokens, many.tokens[13:16])
    assert torch.equal(other.tokens, many.tokens)
    assert not torch.equal(generate(backbone, sampler, table, 32, seed=5, batch=32).tokens, many.tokens)


@pytest.mark.parametrize(("sampler", "table"), ALL)
def test_skipped_calls_never_change_a_sample(sampler: str, table: StepTable) -> None:
    """The same table, once declared time-free and once not: equal samples, fewer calls."""
    free = exact_backbone(joint_law(1, 3, 3, 1.0))
    timed = TableBackbone(free.table, 3, late=free.table)
    fine = uniform_times(8) if table.times else table
    skipping, calling = (generate(b, sampler, fine, 150, seed=6, batch=75) for b in (free, timed))
    assert torch.equal(skipping.tokens, calling.tokens)
    assert bool((skipping.calls <= calling.calls).all())
    if table.times and SAMPLERS[sampler].calls_per_step == 1:
        assert int(skipping.calls.sum()) < int(calling.calls.sum())
    assert int(calling.calls.max()) <= fine.num_steps * SAMPLERS[sampler].calls_per_step


@pytest.mark.parametrize(("sampler", "table"), ALL)
@pytest.mark.parametrize("name", ["exact", "timed"])
def test_calls_are_those_the_network_saw(sampler: str, table: StepTable, name: str) -> None:
    backbone = BACKBONES[name]
    backbone.sequences = 0
    samples = generate(backbone, sampler, table, 40, seed=2, batch=8)
    assert backbone.sequences == int(samples.calls.sum())
    assert int(samples.tokens.max()) < 3, "a token was left masked"


@pytest.mark.parametrize("sampler", [name for name, table in ALL if table is TIMES])
def test_chains_that_finish_early_stop_costing(sampler: str) -> None:
    """A huge score gain reveals everything at once; the steps that remain call nothing and change nothing."""
    table = StepTable(times=(1.0, 0.5, 0.25, 0.0), gains=(50.0,) * 3, gain_on="score")
    for backbone in BACKBONES.values():
        samples = generate(backbone, sampler, table, 6, seed=0, batch=2)
        assert int(samples.calls.max()) <= SAMPLERS[sampler].calls_per_step
        assert int(samples.tokens.max()) < 3


def test_balanced_split_calls_only_for_what_it_reveals() -> None:
    """No reveal, no call; one reveal, one call; more, two."""
    backbone = misfit_backbone(2, 3, 3, timed=True)
    draws, step = Draws(1, torch.arange(500)), Step(0, 1.0, 0.6, 1.0, "score")
    before = start(backbone, draws)
    after = SAMPLERS["balanced_split"].step(backbone, before, step, draws)
    revealed = (after.x != backbone.process.mask).sum(1)
    assert torch.equal(after.calls, revealed.clamp(max=2))
    assert set(revealed.tolist()) == {0, 1, 2, 3}
