"""Orders of reveal: permutations with the law they claim, and what a comb of positions buys."""

import pytest
import torch
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.halton import Halton
from lsd_core.samplers.loop import generate
from lsd_core.samplers.orders import HALTON, UNIFORM
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from tests.lsd_core.oracles import (
    exact_backbone,
    fitted_order,
    halton_ranks,
    joint_law,
    push_named,
    seen_at,
    tv,
)

DRAWS = Draws(3, torch.arange(4000))


def markov_law(num_tokens: int, length: int) -> Tensor:
    """Joint law (V,) * l of a stationary, strongly correlated Markov chain."""
    transition = (
        2.0 * torch.randn(num_tokens, num_tokens, generator=torch.Generator().manual_seed(1))
    ).double()
    transition = transition.softmax(1)
    law = torch.full((num_tokens,), 1 / num_tokens, dtype=torch.float64)
    for _ in range(length - 1):
        law = law[..., None] * transition
    return law


@pytest.mark.parametrize("order", [UNIFORM, HALTON])
@pytest.mark.parametrize("length", [1, 2, 5, 8, 13])
def test_ranks_are_permutations_and_every_position_is_as_likely_at_every_place(order, length: int) -> None:
    rank = order.rank(DRAWS, length)
    assert torch.equal(rank.sort(1).values, torch.arange(length).expand(4000, length))
    if length in (2, 8) or order is UNIFORM:
        share = torch.stack([(rank == place).double().mean(0) for place in range(length)])
        assert float((share - 1 / length).abs().max()) < 4.5 * (0.25 / 4000) ** 0.5


def test_over_all_shifts_a_position_has_every_place_once() -> None:
    ranks = halton_ranks(8)
    assert torch.equal(ranks.sort(0).values, torch.arange(8)[:, None].expand(8, 8))


def test_a_halton_order_begins_with_a_comb_at_every_power_of_two() -> None:
    rank = HALTON.rank(DRAWS, 32)
    for first in (2, 4, 8, 16):
        positions = (rank < first).nonzero()[:, 1].view(-1, first)
        assert bool((positions.diff(dim=1) == 32 // first).all())


def test_positions_beyond_the_length_are_left_out() -> None:
    """The same order as over the next power of two, without what is not there."""
    longer = HALTON.keys(DRAWS, 16)
    shorter = HALTON.keys(DRAWS, 13)
    same_shift = longer[:, 0] == shorter[:, 0]
    assert bool(same_shift.all())  # position 0 has point 0, so its key is the shift
    assert torch.equal(shorter, longer[:, :13])


def test_uniform_keys_are_the_uniforms_of_the_order() -> None:
    assert torch.equal(UNIFORM.keys(DRAWS, 9), uniform_grid(3, DRAWS.trajectory, 0, 9, Purpose.ORDER))


def test_doubling_a_comb_is_exact_on_a_markov_chain() -> None:
    """Given every second token the others are independent, and a step that reveals them errs in nothing."""
    joint = markov_law(3, 4)
    backbone, target = exact_backbone(joint), torch.zeros(4, 4, 4, 4, dtype=torch.float64)
    target[:3, :3, :3, :3] = joint
    table = StepTable(counts=(4, 3, 2, 0))
    assert tv(push_named(SAMPLERS["halton"], backbone, table), target.flatten()) < 1e-12
    assert tv(push_named(SAMPLERS["fixed_counts"], backbone, table), target.flatten()) > 0.02


def test_one_at_a_time_it_has_the_law_of_a_consistent_network() -> None:
    joint = joint_law(2, 3, 3, 2.0)
    target = torch.zeros(4, 4, 4, dtype=torch.float64)
    target[:3, :3, :3] = joint
    law = push_named(SAMPLERS["halton"], exact_backbone(joint), StepTable(counts=(3, 2, 1, 0)))
    assert tv(law, target.flatten()) < 1e-12


def test_where_no_comb_helps_it_is_of_first_order_and_worse_than_random_subsets() -> None:
    """A mixture of two coins: tosses depend on each other alike, wherever they are.

    Every order costs the same there, but a law that is mixed over all subsets is nearer the truth than one that is
    mixed over a few combs.
    """
    law = sum(0.5 * coin_law(heads, 8) for heads in (0.35, 0.65))
    assert isinstance(law, Tensor)
    backbone, target = exact_backbone(law), torch.nn.functional.pad(law, (0, 1) * 8).flatten()
    tables = [StepTable(counts=tuple(range(8, -1, -8 // steps))) for steps in (2, 4)]
    errors, subsets = (
        [tv(push_named(SAMPLERS[name], backbone, table), target) for table in tables]
        for name in ("halton", "fixed_counts")
    )
    assert 0.8 < fitted_order([2, 4], errors) < 1.2
    for comb, subset in zip(errors, subsets, strict=True):
        assert subset < comb < 2.1 * subset


def coin_law(heads: float, length: int) -> Tensor:
    """Joint law (2,) * l of independent tosses."""
    toss = torch.tensor([1 - heads, heads], dtype=torch.float64)
    law = toss
    for _ in range(length - 1):
        law = law[..., None] * toss
    return law


def test_its_law_needs_the_order_beside_the_tokens() -> None:
    backbone = exact_backbone(joint_law(1, 2, 3, 1.0))
    x = backbone.process.prior(1, 3)
    step = next(steps_of(StepTable(counts=(3, 1, 0)), 3))
    law = Halton().kernel(seen_at(backbone, x, step), step)
    with pytest.raises(InputError, match="order must be exchangeable"):
        _ = law.probs


def test_it_refuses_a_grid_of_times_by_its_own_name() -> None:
    backbone = exact_backbone(joint_law(1, 2, 3, 1.0))
    with pytest.raises(InputError, match="table must be a grid of counts for halton"):
        generate(backbone, "halton", StepTable(times=(1.0, 0.0)), 2, 0)
