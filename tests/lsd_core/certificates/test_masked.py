"""What a certificate says about itself, and that more steps are certified as better."""

import json
from itertools import pairwise

import pytest

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.certificates.masked import forward_swapped, reverse
from lsd_core.errors import InputError
from lsd_core.samplers.table import StepTable, counts_from_times, uniform_times
from tests.lsd_core.oracles import misfit_backbone

TABLE = StepTable(counts=(3, 2, 0), gains=(1.0, 2.0))


def test_sequences_are_those_the_network_saw() -> None:
    backbone = misfit_backbone(1, 3, 3)
    for run in (
        lambda: reverse(backbone, "euler", TABLE, num_paths=7, seed=1, batch=3),
        lambda: reverse(backbone, "euler", uniform_times(3), num_paths=7, seed=1, batch=3),
        lambda: forward_swapped(backbone, "euler", TABLE, num_paths=7, seed=1, batch=3),
    ):
        before = backbone.sequences
        assert run().sequences == backbone.sequences - before


def test_a_certificate_names_its_bound_and_the_card_can_hold_it() -> None:
    backbone = exact_backbone("tiny", length=6, num_values=4)
    table = StepTable(counts=(6, 3, 0))
    bound = reverse(backbone, "euler", table, num_paths=8, seed=1, batch=8)
    assert bound.bounds == "KL(sampler || reference)"
    assert json.loads(json.dumps(bound.to_dict()))["reference"].startswith("the network revealing one token")


def test_does_not_depend_on_the_batch() -> None:
    backbone = misfit_backbone(1, 3, 3)
    values = {
        reverse(backbone, "euler", TABLE, num_paths=10, seed=1, batch=batch).value_nats
        for batch in (1, 4, 10)
    }
    assert max(values) - min(values) < 1e-12


@pytest.mark.parametrize("form", [reverse, forward_swapped])
def test_more_steps_are_certified_as_closer(form: object) -> None:
    backbone = exact_backbone("small", length=12, num_values=6)
    values = []
    for num_steps in (1, 3, 6):
        table = counts_from_times(uniform_times(num_steps), 12)
        values.append(form(backbone, "fixed_counts", table, num_paths=200, seed=1, batch=200))  # type: ignore[operator]
    for coarse, fine in pairwise(values):
        assert coarse.value_nats - fine.value_nats > 2 * (coarse.standard_error + fine.standard_error)


def test_two_call_samplers_are_refused_by_name() -> None:
    backbone = misfit_backbone(1, 3, 3)
    with pytest.raises(InputError, match="sampler must look at the network once a step"):
        reverse(backbone, "balanced_split", uniform_times(2), num_paths=2, seed=1, batch=2)
