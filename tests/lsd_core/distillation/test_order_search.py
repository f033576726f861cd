"""The learned order: a chain's own combs where its tokens are shuffled, and no harm where no order helps."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.markov import MarkovExact
from lsd_core.backbones.protocol import Backbone
from lsd_core.certificates.masked import reverse
from lsd_core.distillation.learned import Kept, Learned, Problem
from lsd_core.distillation.order_candidates import UNLEARNED
from lsd_core.distillation.order_search import Costed, OrderSearch, cost_order
from lsd_core.distillation.path_kl import fit, fit_all
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import Absorbing
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import TableBackbone, exact_backbone, misfit_backbone, push_named
from tests.lsd_core.samplers.test_order import coin_law

LENGTH = 8
PLACES = [1, 3, 0, 5, 7, 4, 2, 6]  # neighbours of the chain stand at odd positions, and others at even ones
SCHEDULE = PathKLScheduleConfig(price_sequences=128 * LENGTH)


def chain(positions: list[int] | None) -> MarkovExact:
    """A token stays what its neighbour is with chance 0.85."""
    config = {"family": "markov", "process": Absorbing(2).to_dict(), "length": LENGTH, "smoothing": 1e-6}
    tensors = {
        "initial": torch.tensor([0.5, 0.5]),
        "transition": torch.tensor([[0.85, 0.15], [0.15, 0.85]], dtype=torch.float64),
    }
    placed = {} if positions is None else {"positions": positions}
    return MarkovExact("chain", config | placed, tensors)


def problem(backbone: Backbone, sampler: str, num_steps: int = 4, **changes: object) -> Problem:
    with torch.inference_mode():
        paths = first_hitting(backbone, Draws(1, torch.arange(128)))
    given = {"sampler": sampler, "seed": 3, "teacher_seed": 1, "batch": 64} | changes
    return Problem(backbone=backbone, trajectories=paths, num_steps=num_steps, **given)  # type: ignore[arg-type]


def learn(backbone: Backbone, sampler: str, num_steps: int = 4) -> Learned:
    return fit(problem(backbone, sampler, num_steps), SCHEDULE)


def certified(backbone: Backbone, sampler: str, table: StepTable) -> tuple[float, float]:
    found = reverse(backbone, sampler, table, num_paths=400, seed=5, batch=200)
    return found.value_nats, found.standard_error


def true_divergence(backbone: Backbone, sampler: str, table: StepTable, data: Tensor) -> float:
    return kl(push_named(SAMPLERS[sampler], backbone, table), data)


def data_law(backbone: Backbone) -> Tensor:
    """What a consistent network draws one token at a time."""
    singly = StepTable(counts=tuple(range(backbone.length, -1, -1)), order=tuple(range(backbone.length)))
    return push_named(SAMPLERS["learned_order"], backbone, singly)


def test_on_a_shuffled_chain_it_finds_the_chains_combs_and_halton_order_loses() -> None:
    backbone = chain(PLACES)
    ours, halton = learn(backbone, "learned_order"), learn(backbone, "halton")
    assert ours.table.order is not None
    last = sorted(PLACES.index(i) for i in ours.table.order[4:])
    assert all(
        right - left > 1 for left, right in pairwise(last)
    )  # no neighbours of the chain come together last
    mine, error = certified(backbone, "learned_order", ours.table)
    theirs, other = certified(backbone, "halton", halton.table)
    assert mine + 2 * error < 0.5 * (theirs - 2 * other)
    data = data_law(backbone)
    true = true_divergence(backbone, "learned_order", ours.table, data)
    assert true < 0.5 * true_divergence(backbone, "halton", halton.table, data)
    assert true <= mine + 4 * error + 1e-9
    assert ours.diagnostics["order"] != UNLEARNED


@pytest.mark.parametrize("num_steps", [3, 4])
def test_on_a_chain_in_its_place_it_is_no_worse_than_halton_order(num_steps: int) -> None:
    backbone = chain(None)
    ours, halton = learn(backbone, "learned_order", num_steps), learn(backbone, "halton", num_steps)
    mine, error = certified(backbone, "learned_order", ours.table)
    theirs, other = certified(backbone, "halton", halton.table)
    assert mine <= theirs + 2 * (error + other)


def test_where_all_positions_are_alike_it_is_halton_order_and_certified_no_worse_than_random_order() -> None:
    law = 0.5 * coin_law(0.3, 5) + 0.5 * coin_law(0.7, 5)
    backbone = exact_backbone(law)
    ours, random = learn(backbone, "learned_order", 3), learn(backbone, "fixed_counts", 3)
    assert ours.diagnostics["order"] == UNLEARNED
    assert ours.table.order == halton_positions(5)
    mine, error = certified(backbone, "learned_order", ours.table)
    theirs, other = certified(backbone, "fixed_counts", random.table)
    assert mine <= theirs + 2 * (error + other)


def test_one_search_serves_all_steps_and_members_and_counts_its_calls() -> None:
    backbone = misfit_backbone(2, 2, 5)
    cell = problem(backbone, "learned_order", keep=Kept())
    backbone.sequences = 0
    config = PathKLScheduleConfig(price_sequences=400)
    together = fit_all(cell, config, [2, 3])
    assert backbone.sequences == together[2].sequences == together[3].sequences
    gained = fit(replace(cell, num_steps=3), PathKLConfig(price_sequences=400, gain_paths=16))
    assert gained.sequences == backbone.sequences > together[3].sequences
    assert gained.table.order == together[3].table.order
    assert gained.table.counts == together[3].table.counts
    apart = fit(replace(cell, keep=Kept(), num_steps=2), config)
    assert apart == together[2]


def test_edges_cost_the_divergence_between_what_the_network_says_early_and_late() -> None:
    """The schedule's sum over them estimates KL(network || sampler) along the order."""
    network, order = misfit_backbone(5, 2, 4, timed=True), (2, 0, 3, 1)
    model = MaskedModel(
        backbone=network, method=named("learned_order", network), batch=500, permutation=order
    )
    costed = cost_order(model, Draws(1, torch.arange(4000)))
    assert costed.sequences == network.sequences == 2 * 4 * 4000
    table = StepTable(counts=(4, 3, 1, 0), order=order)
    singly = replace(table, counts=(4, 3, 2, 1, 0), gains=())
    one_by_one, out = (push_named(SAMPLERS["learned_order"], network, each) for each in (singly, table))
    spent = costed.edges[:, 0, 1] + costed.edges[:, 1, 3] + costed.edges[:, 3, 4]
    assert float(spent.mean()) == pytest.approx(kl(one_by_one, out), abs=4 * float(spent.std()) / 4000**0.5)
    assert float(costed.edges[:, range(4), range(1, 5)].abs().max()) < 1e-12
    assert bool((costed.edges >= -1e-12).all())


def test_an_order_must_beat_haltons_beyond_chance() -> None:
    gen = torch.Generator().manual_seed(0)

    def costed(whole: float) -> Costed:
        edges = torch.zeros(100, 3, 3, dtype=torch.float64)
        edges[:, 0, 2] = whole + torch.randn(100, generator=gen).double()
        return Costed((0, 1), edges, 10)

    halton = costed(10.0)
    near = replace(
        halton, edges=halton.edges - 0.1 * torch.randn(100, 3, 3, generator=gen).double().abs().triu(2)
    )
    for other, taken in ((near, "other"), (costed(10.0), UNLEARNED), (costed(3.0), "other")):
        name, nats = OrderSearch({UNLEARNED: halton, "other": other}, 0).best(1)
        assert name == taken
        assert nats[UNLEARNED]["nats"] == pytest.approx(float(halton.edges[:, 0, 2].mean()))


def test_networks_of_tables_are_learnt_too() -> None:
    backbone: TableBackbone = misfit_backbone(4, 2, 4, timed=True)
    found = learn(backbone, "learned_order", 2)
    assert sorted(found.table.order or ()) == [0, 1, 2, 3]
    assert found.diagnostics["price_nats"] >= 0
