"""Costs, certificates and students under conditions are those of the chain that Bayes' rule leaves."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lsd_core.certificates.masked import forward_swapped, reverse
from lsd_core.distillation.gains import choose_gains
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named, own_paths
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.conditional import Conditioned, rescaled
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.replay import hidden_at_time, state_at_count, timed
from tests.lsd_core.certificates.enumerated import every_path, path_law, summed_terms
from tests.lsd_core.given import (
    AT_END,
    BACKBONE,
    LENGTH,
    MIXED,
    SEED,
    V,
    conditions,
    free_chain,
    free_joint,
    teacher_paths,
)
from tests.lsd_core.oracles import chi_square, misfit_backbone, push_named

COUNTS = StepTable(counts=(4, 3, 1, 0), gains=(1.3, 0.8, 2.0))
TABLES = [("fixed_counts", COUNTS), ("euler", uniform_times(3).with_gains((0.8, 1.6, 2.5)))]


def model(paths=None, given=None, sampler="fixed_counts", backbone=BACKBONE, **more) -> MaskedModel:
    return MaskedModel(
        backbone=backbone, method=named(sampler, backbone), batch=64, stored=paths, conditions=given, **more
    )


def padded(law: Tensor, length: int) -> Tensor:
    """A distribution over tokens as one over states, masks included."""
    out = torch.zeros((V + 1,) * length, dtype=torch.float64)
    out[(slice(0, V),) * length] = law
    return out.flatten()


def test_teacher_paths_have_the_distribution_of_bayes_rule_and_keep_what_is_given() -> None:
    given, before = conditions(*MIXED), BACKBONE.sequences
    paths = teacher_paths(given, 6000)
    assert BACKBONE.sequences - before == int((~paths.given).sum())  # a call for each free token
    templates = given.at(SEED, paths.index)
    for one in MIXED:
        mine, free = (templates == one).all(1), one == V
        assert 0.25 < float(mine.double().mean()) < 0.42
        assert bool((paths.x_end[mine][:, ~free] == one[~free]).all())
        assert (
            chi_square(paths.x_end[mine][:, free].long(), padded(free_joint(one), int(free.sum())), V + 1)
            > 1e-3
        )
        assert bool((paths.rank[mine][:, ~free] < int((~free).sum())).all())
    whole = timed(paths, 0)
    assert bool((state_at_count(whole, 1) == V).sum(1).eq(1).all())
    assert torch.equal(hidden_at_time(whole, 1.0), ~paths.given)


def test_expected_costs_are_conditional_cross_entropies() -> None:
    """On all paths with two free tokens, weighted by Bayes' rule: H of each, and of one given the other."""
    one, law = MIXED[0], free_joint(MIXED[0])
    first, second = law.sum(1), law.sum(0)
    entropy = lambda p: -float(torch.special.xlogy(p, p).sum())  # noqa: E731
    apart, joint = entropy(first) + entropy(second), entropy(law.flatten())
    given, total = conditions(one), torch.zeros(LENGTH + 1, LENGTH + 1, dtype=torch.float64)
    for ranks in ((0, 2, 3, 1), (0, 3, 2, 1)):
        for a in range(V):
            for b in range(V):
                path = replace(
                    teacher_paths(given, 1),
                    x_end=torch.tensor([[2, a, b, 1]]),
                    rank=torch.tensor([ranks]),
                )
                total += law[a, b] / 2 * model().edge_costs(path).cost
    assert float(total[0, 4]) == pytest.approx(apart)  # 4 -> 0 of 4 is 2 -> 0 of 2
    assert float(total[0, 2]) == pytest.approx(apart / 2)  # 4 -> 2 of 4 is 2 -> 1 of 2
    assert float(total[2, 4]) == pytest.approx(joint - apart / 2)
    assert float(total[0, 0]) == float(total[3, 2]) == 0


@pytest.mark.parametrize(
    "table", [StepTable(counts=(4, 0)), StepTable(counts=(4, 3, 1, 0)), StepTable(counts=(4, 2, 0))]
)
def test_the_cost_of_a_schedule_is_that_of_the_rescaled_one_on_the_free_chain(table: StepTable) -> None:
    given = conditions(AT_END, unconditional=0.5)
    paths = teacher_paths(given, 60)
    cost = model().edge_costs(paths).cost
    nodes = [LENGTH - n for n in table.counts]
    found = sum(float(cost[i, j]) for i, j in itertools.pairwise(nodes))
    cut = paths.given.any(1)
    short = replace(
        paths.select(cut),
        x_end=paths.x_end[cut][:, :2],
        rank=paths.rank[cut][:, :2] - 2,
        given=None,
        reveal_time=paths.reveal_time[cut][:, :2],
    )
    expected = 0.0
    for backbone, some, steps in (
        (free_chain(AT_END), short, rescaled(table, 2)),
        (BACKBONE, replace(paths.select(~cut), given=None), table),
    ):
        own = model(backbone=backbone).edge_costs(some).cost * len(some)
        places = [backbone.length - n for n in steps.counts]
        expected += sum(float(own[i, j]) for i, j in itertools.pairwise(places))
    assert 0 < int(cut.sum()) < len(cut)
    assert found == pytest.approx(expected / len(paths))


@pytest.mark.parametrize(("sampler", "table"), TABLES)
def test_a_student_has_the_distribution_of_its_rescaled_table_on_the_free_chain(
    sampler: str, table: StepTable
) -> None:
    given = conditions(*MIXED)
    drawn = generate(BACKBONE, sampler, table, 4500, 5, batch=1500, given=given)
    templates = given.at(5, torch.arange(4500))
    paths, _ = own_paths(Conditioned(BACKBONE), sampler, table, Draws(5, torch.arange(4500)), 1500, templates)
    for one in MIXED:
        mine, free = (templates == one).all(1), one == V
        num_free = int(free.sum())
        law = push_named(get_sampler(sampler, BACKBONE.process), free_chain(one), rescaled(table, num_free))
        for tokens in (drawn.tokens, paths.x_end.long()):
            assert bool((tokens[mine][:, ~free] == one[~free]).all())
            assert chi_square(tokens[mine][:, free], law, V + 1) > 1e-3
        assert int(drawn.calls[mine].max()) <= min(table.num_steps, num_free)
    fewer = generate(BACKBONE, sampler, table, 100, 5, batch=1500, given=given)
    assert torch.equal(fewer.tokens, drawn.tokens[:100])


@pytest.mark.parametrize("kind", ["reverse", "forward"])
@pytest.mark.parametrize(("sampler", "table"), TABLES)
def test_certificates_estimate_the_mean_over_templates_of_the_enumerated_ones(
    sampler: str, table: StepTable, kind: str
) -> None:
    exact = 0.0
    for one in MIXED:
        chain, steps = free_chain(one), rescaled(table, int((one == V).sum()))
        paths, chance = every_path(chain, sampler, steps)
        if kind == "reverse":
            weight = path_law(chain, steps, paths, chance)
        else:
            singly = StepTable(counts=tuple(range(chain.length, -1, -1)))
            one_by_one = replace(paths, reveal_step=paths.rank, steps=chain.length)
            weight = path_law(chain, singly, one_by_one, chance)
        exact += summed_terms(chain, sampler, steps, paths, weight, kind) / len(MIXED)
    estimate = reverse if kind == "reverse" else forward_swapped
    found = estimate(
        BACKBONE, sampler, table, num_paths=1500, seed=3, batch=1500, conditions=conditions(*MIXED)
    )
    assert abs(found.value_nats - exact) < 4 * found.standard_error
    assert 0 < found.standard_error < 0.07 * max(1.0, exact)
    assert found.reference.endswith("given the tokens of each template")


def test_certificates_are_those_of_the_free_chain_to_the_last_digits() -> None:
    """Free positions that come first have the uniforms of a short chain's."""
    for estimate in (reverse, forward_swapped):
        asked = {"num_paths": 40, "seed": 3, "batch": 16}
        found = estimate(BACKBONE, "fixed_counts", COUNTS, conditions=conditions(AT_END), **asked)
        short = estimate(free_chain(AT_END), "fixed_counts", rescaled(COUNTS, 2), **asked)
        assert found.value_nats == pytest.approx(short.value_nats)
        assert found.sequences == short.sequences


def test_one_token_at_a_time_is_certified_at_zero_in_any_order() -> None:
    every = StepTable(counts=(4, 3, 2, 1, 0))
    for sampler in ("fixed_counts", "halton"):
        found = reverse(
            BACKBONE, sampler, every, num_paths=50, seed=3, batch=50, conditions=conditions(*MIXED)
        )
        assert found.value_nats == pytest.approx(0, abs=1e-12)


def test_gains_are_chosen_on_the_free_chain() -> None:
    table, candidates = StepTable(counts=(4, 2, 0)), (0.7, 1.0, 1.5, 2.5)
    draws = Draws(9, torch.arange(64))
    found = choose_gains(model(given=conditions(AT_END)), table, candidates, draws)
    short = choose_gains(model(backbone=free_chain(AT_END)), rescaled(table, 2), candidates, draws)
    torch.testing.assert_close(found.curves, short.curves)
    assert found.chosen == short.chosen


@pytest.mark.parametrize("sampler", ["fixed_counts", "halton"])
def test_the_bound_of_the_gains_is_the_certificate(sampler: str) -> None:
    """Both are estimates of the same sum over steps; a step that a short template leaves out adds nothing."""
    given = conditions(*MIXED)
    assert (MIXED == V).sum(1).tolist() == [2, 3, 1]
    table = StepTable(counts=(4, 3, 0))
    chosen = choose_gains(model(given=given, sampler=sampler), table, (1.0,), Draws(3, torch.arange(1500)))
    found = reverse(BACKBONE, sampler, table, num_paths=1500, seed=8, batch=1500, conditions=given)
    assert chosen.bound == pytest.approx(found.value_nats, abs=5 * found.standard_error)
    assert chosen.bound > 0.05


def test_paths_in_an_order_of_their_own_keep_what_is_given() -> None:
    given = conditions(*MIXED)
    paths, sequences = model(given=given, sampler="halton", teacher_seed=3).reference(64 * 2).draw()
    templates = paths.x_end.long().masked_fill(~paths.given, V)
    known = {tuple(row) for row in MIXED.tolist()}
    assert {tuple(row) for row in templates.tolist()} == known
    assert sequences == int((~paths.given).sum())
    assert bool((paths.rank.long()[paths.given] < LENGTH - 1).all())


def test_a_time_conditioned_network_sees_the_time_of_what_is_masked() -> None:
    timed_network = misfit_backbone(2, V, LENGTH, timed=True)
    every = StepTable(counts=(4, 3, 2, 1, 0))
    found = reverse(
        timed_network, "fixed_counts", every, num_paths=30, seed=3, batch=30, conditions=conditions(AT_END)
    )
    assert found.value_nats == pytest.approx(0, abs=1e-12)


def test_nothing_given_changes_nothing() -> None:
    paths = teacher_paths(conditions(torch.full((LENGTH,), V)), 20)
    plain = replace(paths, given=None)
    assert torch.equal(model().edge_costs(plain).cost, model().edge_costs(paths).cost)
