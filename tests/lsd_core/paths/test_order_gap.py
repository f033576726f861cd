"""The gap between orders: nothing where a network's conditionals agree, what enumeration gives where they do not."""

from itertools import permutations, product

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.order_gap import OrderGap, chain_nll, order_gap
from lsd_core.paths.sampler_paths import named
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import exact_backbone, joint_law, misfit_backbone, push_named

LENGTH, SAMPLES = 3, 4000


def model(backbone: Backbone, sampler: str) -> MaskedModel:
    return MaskedModel(backbone=backbone, method=named(sampler, backbone), batch=2000)


def measured(backbone: Backbone, sampler: str, samples: int = SAMPLES) -> OrderGap:
    along = model(backbone, sampler)
    paths, _ = along.one_at_a_time(Draws(1, torch.arange(samples)))
    return order_gap(along, model(backbone, "fixed_counts"), paths, seed=2)


def along_each(backbone: Backbone) -> dict[tuple[int, ...], Tensor]:
    """The distribution of one token at a time along every permutation."""
    counts = tuple(range(LENGTH, -1, -1))
    return {
        order: push_named(SAMPLERS["learned_order"], backbone, StepTable(counts=counts, order=order))
        for order in permutations(range(LENGTH))
    }


@pytest.mark.parametrize("sampler", ["left_to_right", "halton"])
def test_conditionals_that_agree_leave_no_gap_on_any_sample(sampler: str) -> None:
    gap = measured(exact_backbone(joint_law(4, 3, LENGTH, 2.0)), sampler, samples=50)
    assert gap.uniform_nats is not None
    found = (*gap.both, (gap.uniform_nats, gap.uniform_standard_error))
    assert max(abs(nats) + error for nats, error in found) < 1e-12


@pytest.mark.parametrize("timed", [False, True])
def test_conditionals_that_contradict_each_other_leave_what_enumeration_gives(timed: bool) -> None:
    backbone = misfit_backbone(2, 2, LENGTH, timed=timed)
    gap, laws = measured(backbone, "left_to_right"), along_each(backbone)
    mine, uniform = laws[0, 1, 2], torch.stack(list(laws.values())).mean(0)
    every = list(laws.values())
    there, back, apart = (
        sum(kl(*pair) for pair in pairs) / len(pairs)
        for pairs in (list(product([mine], every)), list(product(every, [mine])), list(product(every, every)))
    )
    assert gap.nats == pytest.approx(there, abs=4 * gap.standard_error)
    assert gap.back_nats == pytest.approx(back, abs=4 * gap.back_standard_error)
    assert gap.uniform_nats == pytest.approx(apart, abs=4 * gap.uniform_standard_error)
    assert min(gap.nats - 4 * gap.standard_error, gap.back_nats - 4 * gap.back_standard_error) > 0
    assert there >= kl(mine, uniform)
    assert back >= kl(uniform, mine)


def test_a_chains_nll_is_that_of_its_distribution_along_the_order() -> None:
    backbone = misfit_backbone(5, 2, LENGTH)
    along = model(backbone, "bisection")
    paths, _ = along.one_at_a_time(Draws(1, torch.arange(64)))
    assert paths.x_end is not None
    law = along_each(backbone)[tuple(SAMPLERS["bisection"].order.positions(LENGTH))]  # type: ignore[attr-defined]
    place = (paths.x_end.long() * 3 ** torch.arange(LENGTH - 1, -1, -1)).sum(1)
    assert torch.allclose(chain_nll(along, paths), -law[place].log(), atol=1e-9)


def test_it_counts_its_calls_and_survives_json() -> None:
    backbone = misfit_backbone(2, 2, LENGTH)
    along = model(backbone, "halton")
    paths, _ = along.one_at_a_time(Draws(1, torch.arange(8)))
    backbone.sequences = 0
    gap = order_gap(along, model(backbone, "fixed_counts"), paths, seed=2)
    assert gap.sequences == backbone.sequences == 6 * LENGTH * 8
    assert gap.samples == 8
    assert OrderGap.from_dict(gap.to_dict()) == gap
