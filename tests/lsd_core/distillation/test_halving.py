"""Halving is a control of orders of combs: nothing is learned, and on a Markov chain it is nearly exact."""

import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.distillation.controls import halving
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.metrics.countdown import error
from lsd_core.samplers import counts_from_times, generate, uniform_times


@pytest.mark.parametrize(
    ("steps", "length", "counts"),
    [
        (7, 64, (64, 63, 62, 60, 56, 48, 32, 0)),  # 1, 1, 2, 4, ... 32: the doublings of a comb
        (4, 64, (64, 56, 48, 32, 0)),
        (8, 64, (64, 63, 62, 60, 56, 48, 32, 16, 0)),  # one step to spare cuts the last in two
        (1, 64, (64, 0)),
        (3, 7, (7, 6, 4, 0)),
        (5, 5, (5, 4, 3, 2, 1, 0)),
    ],
)
def test_the_last_step_unmasks_half_and_the_one_before_a_quarter(steps, length, counts):
    assert halving(steps, length).counts in (counts, _other_way(counts))
    assert halving(steps, length).num_steps == steps


def _other_way(counts):
    """Halves of an odd number, the larger one last."""
    return {(7, 6, 4, 0): (7, 5, 4, 0)}.get(counts, counts)


def test_seven_calls_in_halton_order_are_exact_on_a_markov_chain_and_equal_counts_are_not():
    backbone = exact_backbone("countdown-exact", 64)
    halved = generate(backbone, "halton", halving(7, 64), 512, 1, batch=64)
    equal = generate(backbone, "halton", counts_from_times(uniform_times(7), 64), 512, 1, batch=64)
    assert int(halved.calls.max()) == 7
    assert float(error(halved.tokens).mean()) < 0.001
    assert float(error(equal.tokens).mean()) > 0.03
    assert torch.equal(halved.tokens, generate(backbone, "halton", halving(7, 64), 512, 1, batch=64).tokens)


def test_halving_fills_cells_of_orders_of_combs_alone_and_fixed_counts_brings_its_sampler():
    process = exact_backbone("countdown-exact", 16).process
    served = {
        name: METHODS["halving"].serves(name, process, {}) for name in ("euler", "fixed_counts", "halton")
    }
    assert served == {"euler": False, "fixed_counts": False, "halton": True}
    assert METHODS["fixed_counts"].own_sampler == "fixed_counts"
    with pytest.raises(InputError, match="at most the length 4"):
        halving(5, 4)
