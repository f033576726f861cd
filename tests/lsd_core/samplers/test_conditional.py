"""Given tokens never change, and the rest have the law that Bayes' rule gives them."""

import itertools
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import exact_backbone as countdown_backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.catalog import SAMPLERS, get_sampler
from lsd_core.samplers.compatibility import COMPATIBILITY
from lsd_core.samplers.conditional import Conditioned, rescaled, template
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, cosine_times, uniform_times
from tests.lsd_core.oracles import chi_square, exact_backbone, joint_law, misfit_backbone, number_of

JOINT = joint_law(4, 3, 3, 1.5)
BACKBONE = exact_backbone(JOINT)
GIVEN = {"prefix": [2], "infill": [None, 0, None], "last": [None, None, 0]}


def bayes(given: list[int | None]) -> Tensor:
    """p(x | given) over all sequences (V,) * l: the joint law cut to what agrees, and normalised."""
    law = JOINT.clone()
    for position, token in enumerate(given):
        if token is not None:
            agree = torch.zeros(JOINT.shape[0], dtype=torch.float64)
            agree[token] = 1.0
            shape = [1] * JOINT.dim()
            shape[position] = -1
            law = law * agree.view(shape)
    return law / law.sum()


class Chosen(Draws):
    """Uniforms for tokens that a test chooses, one for each chain and position, instead of random ones."""

    def __init__(self, uniform: Tensor) -> None:
        super().__init__(0, torch.arange(len(uniform)))
        object.__setattr__(self, "uniform", uniform)

    def rows(self, call: int, purpose: Purpose, sample: Tensor, position: Tensor) -> Tensor:
        return self.uniform[sample, position]  # type: ignore[attr-defined]

    def grid(self, call: int, purpose: Purpose, length: int) -> Tensor:
        return self.uniform  # type: ignore[attr-defined]


def measured_law(given: Tensor, order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Output law of first hitting when free tokens come in this order, without noise.

    A token is a step function of its uniform; where it steps is found by bisection of runs of the sampler, so
    the widths between are the probabilities that the code as it is gives. Later tokens are measured at the
    middle of each width of the earlier ones.
    """
    tokens, length = BACKBONE.process.num_tokens, BACKBONE.length
    when = torch.full((length,), 0.5, dtype=torch.float64)
    for place, position in enumerate(order):
        when[position] = 0.9 - 0.1 * place
    module = import_module("lsd_core.samplers.first_hitting")

    def run(uniform: Tensor) -> Tensor:
        monkeypatch.setattr(module, "uniform_grid", lambda *_: when.expand(len(uniform), length))
        return first_hitting(BACKBONE, Chosen(uniform), given).x_end.long()

    middles, weights = torch.full((1, length), 0.5, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for position in order:
        below = torch.arange(tokens - 1).repeat(len(middles))
        rows = middles.repeat_interleave(tokens - 1, dim=0)
        low, high = torch.zeros(len(rows)).double(), torch.ones(len(rows)).double()
        for _ in range(50):  # the largest uniform whose token is at most `below`
            rows[:, position] = (low + high) / 2
            under = run(rows)[:, position] <= below
            low, high = (
                torch.where(under, rows[:, position], low),
                torch.where(under, high, rows[:, position]),
            )
        ends = torch.cat(
            [torch.zeros(len(middles), 1), low.view(-1, tokens - 1), torch.ones(len(middles), 1)], 1
        )
        weights = (weights[:, None] * ends.diff(dim=1)).flatten()
        centre = ((ends[:, 1:] + ends[:, :-1]) / 2).flatten()
        middles = middles.repeat_interleave(tokens, dim=0)
        middles[:, position] = centre
    law = torch.zeros_like(JOINT)
    law.index_put_(tuple(run(middles).T), weights, accumulate=True)
    return law


@pytest.mark.parametrize("name", list(GIVEN))
def test_the_exact_sampler_conditions_as_bayes_rule_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = template(BACKBONE, GIVEN[name])
    free = (given == BACKBONE.process.mask).nonzero()[:, 0].tolist()
    orders = list(itertools.permutations(free))
    law = torch.stack([measured_law(given, order, monkeypatch) for order in orders]).mean(0)
    assert float(law.sum()) == pytest.approx(1.0, abs=1e-12)
    assert float((law - bayes(GIVEN[name])).abs().max()) < 1e-10
    assert float((JOINT - bayes(GIVEN[name])).abs().max()) > 0.05  # conditioning changes something here


def test_one_token_at_a_time_is_the_exact_sampler() -> None:
    given = template(BACKBONE, GIVEN["infill"])
    singly = StepTable(counts=(3, 2, 1, 0))
    tokens = generate(BACKBONE, "fixed_counts", singly, 20_000, 3, batch=20_000, given=given).tokens
    law = torch.zeros(4, 4, 4, dtype=torch.float64)
    law[:3, :3, :3] = bayes(GIVEN["infill"])
    assert chi_square(tokens, law.flatten(), 4) > 0.001


TABLES = {
    "times": uniform_times(3),
    "cosine": cosine_times(4),
    "counts": StepTable(counts=(16, 11, 5, 1, 0), gains=(1.5, 1.2, 1.0, 0.9)),
}


MASKED = [name for name, each in SAMPLERS.items() if "absorbing" in each.processes]
PAIRS = [
    (sampler, kind)
    for sampler in (*MASKED, *COMPATIBILITY)
    for kind in TABLES
    if ("counts" if kind == "counts" else "times") in get_sampler(sampler, BACKBONE.process).grids
]


@pytest.mark.parametrize(("sampler", "kind"), PAIRS)
def test_given_tokens_never_change_and_the_budget_holds(sampler: str, kind: str) -> None:
    backbone, table = countdown_backbone("c", 16, 8), TABLES[kind]
    if sampler == "learned_order":  # its tables carry the order
        table = replace(table, order=(*range(0, 16, 2), *range(1, 16, 2)))
    calls_a_step = get_sampler(sampler, backbone.process).calls_per_step
    for tokens in ([3, 2, 1], [None] * 5 + [7, None, 0], [None] * 15 + [4], [1] * 15):
        given = template(backbone, tokens)
        drawn = generate(backbone, sampler, table, 24, 5, batch=8, given=given)
        fixed = given != backbone.process.mask
        assert torch.equal(drawn.tokens[:, fixed], given[fixed].expand(24, -1))
        assert int(drawn.tokens.max()) < 8
        assert 1 <= int(drawn.calls.max()) <= table.num_steps * calls_a_step
        fewer = generate(backbone, sampler, table, 10, 5, batch=8, given=given)
        assert torch.equal(fewer.tokens, drawn.tokens[:10])


def test_first_hitting_keeps_what_is_given_and_pays_for_the_rest() -> None:
    backbone = misfit_backbone(2, 3, 4, timed=True)
    given = template(backbone, [None, 2, None, 1])
    paths = first_hitting(backbone, Draws(3, torch.arange(50)), given)
    assert torch.equal(paths.x_end[:, [1, 3]], torch.tensor([2, 1]).expand(50, 2).int())
    assert backbone.sequences == 50 * 2
    assert paths.rank[:, [1, 3]].max() == 1
    assert paths.rank[:, [0, 2]].min() == 2
    assert torch.equal(paths.rank.sort(1).values, torch.arange(4).expand(50, 4).int())


def test_all_given_is_returned_as_it_is_without_a_call() -> None:
    backbone = countdown_backbone("c", 4, 8)
    drawn = generate(backbone, "euler", uniform_times(2), 3, 0, given=template(backbone, [3, 2, 1, 0]))
    assert torch.equal(drawn.tokens, torch.tensor([[3, 2, 1, 0]] * 3))
    assert int(drawn.calls.max()) == 0


def test_counts_are_shares_of_what_is_masked() -> None:
    table = TABLES["counts"]
    half = rescaled(table, 8)
    assert (half.counts, half.gains) == ((8, 6, 2, 0), (1.5, 1.2, 1.0))  # 1 of 16 rounds to 0 of 8
    assert rescaled(table, 16) is table
    assert rescaled(table, 1).counts == (1, 0)
    assert rescaled(TABLES["times"], 3) is TABLES["times"]
    for num_free in range(1, 17):
        scaled = rescaled(table, num_free)
        assert scaled.counts is not None
        assert (scaled.counts[0], scaled.counts[-1]) == (num_free, 0)
        assert scaled.num_steps <= table.num_steps


def test_the_network_is_told_the_time_of_as_many_masked_tokens() -> None:
    told: list[Tensor] = []

    class Listening(type(BACKBONE)):  # type: ignore[misc]
        def features(self, x: Tensor, t: Tensor) -> Tensor:
            told.append(t)
            return super().features(x, t)

    backbone = Listening(BACKBONE.table, 3, late=BACKBONE.table)
    x = torch.tensor([[3, 3, 3], [0, 3, 1], [0, 1, 2]])
    seen = Conditioned(backbone).features(x, torch.full((3,), 0.123, dtype=torch.float64))
    assert torch.equal(seen, backbone.table[number_of(x, 4)])
    torch.testing.assert_close(told[0], torch.tensor([1.0, 1 / 4, 0.0], dtype=torch.float64))


def test_what_cannot_be_given_is_named() -> None:
    backbone = countdown_backbone("c", 4, 8)
    for tokens, words in (
        ([0] * 5, "at most 4 tokens"),
        ([8], r"prompt\[0\] must lie in 0..7"),
        ([-1], "lie in"),
    ):
        with pytest.raises(InputError, match=words):
            template(backbone, tokens)
    with pytest.raises(InputError, match="given must have shape"):
        generate(backbone, "euler", uniform_times(2), 1, 0, given=torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="or be 8 where free"):
        generate(backbone, "euler", uniform_times(2), 1, 0, given=torch.full((4,), 9))
