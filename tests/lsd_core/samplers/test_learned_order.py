"""An order that comes with the table: its distribution, what it refuses, and cards that hold it."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lsd_core.cards import SamplerCard
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers.catalog import SAMPLERS, in_order_of
from lsd_core.samplers.conditional import template
from lsd_core.samplers.loop import generate
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.table import StepTable, counts_from_times, uniform_times
from tests.lsd_core.distillation.chains import exact_paths, problem, strong_chain
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    chi_square,
    halton_ranks,
    misfit_backbone,
    number_of,
    push_named,
)

BACKBONE = misfit_backbone(3, 3, 4)
ORDER = (2, 0, 3, 1)
TABLE = StepTable(counts=(4, 3, 1, 0), gains=(1.0, 1.7, 0.6), order=ORDER)


def by_formula(backbone: TableBackbone, table: StepTable, x: list[int]) -> float:
    """Probability of a sequence: positions of the order, each from the state at its step's start, to the gain."""
    assert table.order is not None
    assert table.counts is not None
    mask, length, probability = backbone.process.mask, len(x), 1.0
    for gain, n, m in zip(table.gains, table.counts, table.counts[1:], strict=False):
        known = table.order[: length - n]
        state = torch.tensor([[x[i] if i in known else mask for i in range(length)]])
        p = (gain * backbone.table[number_of(state, mask + 1)[0]]).softmax(-1)
        for i in table.order[length - n : length - m]:
            probability *= float(p[i, x[i]])
    return probability


def test_the_distribution_is_the_formula_to_1e_10() -> None:
    law = push_named(SAMPLERS["learned_order"], BACKBONE, TABLE)
    assert float(law.sum()) == pytest.approx(1)
    for x in all_states(3, 4):
        found = float(law[number_of(x[None], 4)[0]])
        assert found == pytest.approx(by_formula(BACKBONE, TABLE, x.tolist()), abs=1e-10)


def test_draws_follow_the_distribution() -> None:
    drawn = generate(BACKBONE, "learned_order", TABLE, 20_000, 4, batch=1000)
    assert chi_square(drawn.tokens, push_named(SAMPLERS["learned_order"], BACKBONE, TABLE), 4) > 0.001
    assert int(drawn.calls.max()) == 3


@pytest.mark.parametrize("given", [None, [None, None, None, 1]])
def test_along_the_order_of_another_sampler_it_draws_the_same_tokens(given: list[int | None] | None) -> None:
    start = None if given is None else template(BACKBONE, given)
    for name, order in (("left_to_right", (0, 1, 2, 3)), ("bisection", (2, 1, 0, 3))):
        theirs = generate(BACKBONE, name, replace(TABLE, order=None), 64, 1, batch=16, given=start).tokens
        ours = generate(BACKBONE, "learned_order", replace(TABLE, order=order), 64, 1, batch=16, given=start)
        assert torch.equal(ours.tokens, theirs)
        assert given is None or set(ours.tokens[:, 3].tolist()) == {1}
    other = generate(BACKBONE, "learned_order", TABLE, 64, 1, batch=16, given=start).tokens
    assert not torch.equal(other, theirs)


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        ((0, 1, 1, 2), "be a permutation of 0 .. 3"),
        ((0, 1, 2), "be a permutation of 0 .. 3"),
        ((1, 2, 3, 4), "be a permutation of 0 .. 3"),
        ((0, 1, 2, 3, 4), "be a permutation of 0 .. 3"),
        ((False, 1, 2, 3), "be a list of numbers"),
        ("0123", "be a list of numbers"),
        (3, "be a list of numbers"),
    ],
)
def test_a_wrong_order_at_rest_is_one_line(make_card, order: object, rule: str) -> None:
    record = {"counts": [4, 1, 0], "gains": [1, 1], "gain_on": "log_score", "order": order}
    with pytest.raises(InputError, match=rf"table\.order must {rule}"):
        StepTable.from_dict(record)
    card = json.loads(make_card().to_json()) | {"table": json.loads(json.dumps(record))}
    with pytest.raises(InputError, match=rf"^table\.order must {rule}"):
        SamplerCard.from_json(json.dumps(card))


def test_an_order_needs_counts_and_the_sampler_that_reads_it_and_that_one_needs_an_order() -> None:
    with pytest.raises(InputError, match=r"table\.order must be left out on a grid of times"):
        StepTable(times=(1.0, 0.0), order=(0, 1))
    with pytest.raises(InputError, match=r"table\.order must be a permutation of 0 \.\. 1"):
        StepTable(counts=(2, 0), order=(True, 0))
    bare = replace(TABLE, order=None)
    with pytest.raises(
        InputError, match=r"^table\.order must hold the order of the positions, got None; learn"
    ):
        generate(BACKBONE, "learned_order", bare, 4, 0)
    for name in ("halton", "fixed_counts", "confidence"):
        with pytest.raises(InputError, match=r"^table\.order must be left out for \w+ order, got"):
            generate(BACKBONE, name, TABLE, 4, 0)
    with pytest.raises(InputError, match=r"order must be a permutation of 0 \.\. 3"):
        generate(BACKBONE, "learned_order", replace(TABLE, order=(0, 1, 2, 3, 4)), 4, 0)


def test_a_table_keeps_its_order_and_one_without_has_the_record_it_always_had() -> None:
    assert StepTable.from_dict(json.loads(json.dumps(TABLE.to_dict()))) == TABLE
    assert set(replace(TABLE, order=None).to_dict()) == {"counts", "gains", "gain_on"}
    assert TABLE.with_gains(2.0).order == ORDER


def test_a_card_holds_the_order_and_samples_along_it(make_card, tiny_backbone) -> None:
    table = StepTable(counts=(6, 3, 0), order=(5, 1, 3, 0, 2, 4))
    card = make_card(table=table.to_dict(), sampler="learned_order")
    again = SamplerCard.from_json(card.to_json())
    assert again == card
    assert again.sha256 != make_card(table=replace(table, order=(0, 1, 2, 3, 4, 5)).to_dict()).sha256
    given = [None, None, 2, None, None, None]
    drawn = LoadedSampler(again, tiny_backbone).sample(8, seed=3, infill=given)
    assert set(drawn[:, 2].tolist()) == {2}
    start = template(tiny_backbone, given)
    assert torch.equal(drawn, generate(tiny_backbone, "learned_order", table, 8, 3, given=start).tokens)


def test_controls_have_halton_order_without_a_shift() -> None:
    order = halton_positions(6)
    ranks: Tensor = halton_ranks(6)
    assert torch.tensor(order).argsort().tolist() == ranks[0].tolist()
    assert torch.tensor(halton_positions(6, 3)).argsort().tolist() == ranks[3].tolist()
    backbone = strong_chain()
    for name in ("plain", "cosine", "halving", "temperature", "jys"):
        method, paths = METHODS[name], exact_paths(backbone, 8) if METHODS[name].needs_paths else None
        learned = method.fit(problem(backbone, paths, 3, sampler="learned_order"), method.config({}))
        assert learned.table.order == order, name
        generate(backbone, "learned_order", learned.table, 4, 0)
    table = counts_from_times(uniform_times(2), 6)
    assert in_order_of("halton", table) == table
    assert not METHODS["lsd"].serves("learned_order", backbone.process, {})
