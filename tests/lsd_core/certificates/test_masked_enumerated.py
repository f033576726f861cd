"""On chains small enough to enumerate, a certificate is never below the divergence that it names."""

from dataclasses import replace

import pytest
import torch

from lsd_core.certificates.masked import forward_swapped, reverse
from lsd_core.samplers.catalog import get_sampler, steps_in_counts
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.certificates.enumerated import (
    every_path,
    kl,
    output_law,
    path_law,
    summed_terms,
)
from tests.lsd_core.oracles import (
    TableBackbone,
    exact_backbone,
    joint_law,
    misfit_backbone,
    push_named,
    tv,
)

LENGTH = 3
SINGLY = StepTable(counts=(3, 2, 1, 0))
TABLES = [
    ("fixed_counts", StepTable(counts=(3, 0))),
    ("fixed_counts", StepTable(counts=(3, 1, 0), gains=(0.7, 2.5))),
    ("fixed_counts", StepTable(counts=(3, 2, 1, 0), gains=(1.0, 1.5, 3.0))),
    ("halton", StepTable(counts=(3, 0))),
    ("halton", StepTable(counts=(3, 1, 0), gains=(0.7, 2.5))),
    ("halton", StepTable(counts=(3, 2, 1, 0), gains=(1.0, 1.5, 3.0))),
    ("learned_order", StepTable(counts=(3, 1, 0), gains=(0.7, 2.5), order=(1, 2, 0))),
    ("learned_order", StepTable(counts=(3, 2, 0), order=(2, 0, 1))),
    ("euler", uniform_times(1)),
    ("euler", uniform_times(3).with_gains((0.8, 1.6, 2.5))),
    ("tau_leaping", uniform_times(3).with_gains((0.8, 1.6, 2.5))),
    ("tweedie", StepTable(times=(1.0, 0.7, 0.0), gains=(1.4, 0.6), gain_on="score")),
]
BACKBONES = [
    misfit_backbone(1, 3, LENGTH),
    misfit_backbone(2, 2, LENGTH, timed=True),
    misfit_backbone(3, 3, LENGTH, normalised=False),
    exact_backbone(joint_law(4, 3, LENGTH, 2.0)),
]
every_table = pytest.mark.parametrize(("sampler", "table"), TABLES)
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)


def singly(sampler: str) -> str:
    """The sampler on counts in whose order a sampler reveals: one token a step, it is the reference."""
    return sampler if steps_in_counts(sampler) else "fixed_counts"


def singly_along(table: StepTable) -> StepTable:
    """One token a step, in the table's order if it has one."""
    return replace(SINGLY, order=table.order)


def out(backbone: TableBackbone, sampler: str, table: StepTable) -> torch.Tensor:
    return push_named(get_sampler(sampler, backbone.process), backbone, table)


@every_backbone
@every_table
def test_enumerated_paths_have_the_samplers_own_law(
    backbone: TableBackbone, sampler: str, table: StepTable
) -> None:
    paths, chance = every_path(backbone, sampler, table)
    weight = path_law(backbone, table, paths, chance)
    assert tv(output_law(backbone, paths, weight), out(backbone, sampler, table)) < 1e-12


@every_backbone
@every_table
def test_reverse_is_never_below_the_true_divergence(
    backbone: TableBackbone, sampler: str, table: StepTable
) -> None:
    paths, chance = every_path(backbone, sampler, table)
    bound = summed_terms(backbone, sampler, table, paths, path_law(backbone, table, paths, chance), "reverse")
    true = kl(out(backbone, sampler, table), out(backbone, singly(sampler), singly_along(table)))
    assert bound >= true - 1e-9
    assert bound < true + 10  # a bound of its size, not a number that is always large
    if table.order is not None:  # the tokens tell the path
        assert bound == pytest.approx(true, abs=1e-9)


@every_backbone
@every_table
def test_swapped_is_never_below_the_true_divergence(
    backbone: TableBackbone, sampler: str, table: StepTable
) -> None:
    paths, chance = every_path(backbone, sampler, table)
    one_by_one = replace(paths, reveal_step=paths.rank, steps=LENGTH)
    weight = path_law(backbone, SINGLY, one_by_one, chance)
    bound = summed_terms(backbone, sampler, table, paths, weight, "forward")
    true = kl(out(backbone, singly(sampler), singly_along(table)), out(backbone, sampler, table))
    assert true - 1e-9 <= bound < true + 10


@every_backbone
@pytest.mark.parametrize("sampler", ["fixed_counts", "halton", "learned_order"])
def test_one_token_at_a_time_is_certified_at_zero(backbone: TableBackbone, sampler: str) -> None:
    table = replace(SINGLY, order=(1, 2, 0)) if sampler == "learned_order" else SINGLY
    paths, chance = every_path(backbone, sampler, table)
    weight = path_law(backbone, table, paths, chance)
    assert summed_terms(backbone, sampler, table, paths, weight, "reverse") == pytest.approx(0, abs=1e-12)


SAMPLED = [TABLES[1], TABLES[4], TABLES[6], TABLES[9], TABLES[10]]


@pytest.mark.parametrize(("sampler", "table"), SAMPLED)
def test_sampled_certificates_estimate_the_enumerated_ones(sampler: str, table: StepTable) -> None:
    backbone = BACKBONES[0]
    paths, chance = every_path(backbone, sampler, table)
    exact_reverse = summed_terms(
        backbone, sampler, table, paths, path_law(backbone, table, paths, chance), "reverse"
    )
    one_by_one = replace(paths, reveal_step=paths.rank, steps=LENGTH)
    weight = path_law(backbone, SINGLY, one_by_one, chance)
    exact_swapped = summed_terms(backbone, sampler, table, paths, weight, "forward")
    found = [
        (exact_reverse, reverse(backbone, sampler, table, num_paths=4000, seed=3, batch=1000)),
        (exact_swapped, forward_swapped(backbone, sampler, table, num_paths=4000, seed=4, batch=1000)),
    ]
    for exact, certificate in found:
        assert certificate.bounds
        if sampler == "learned_order":
            told = "the network revealing one token at a time in the learned order, told t = n / (l + 1)"
            assert certificate.reference == told
        assert abs(certificate.value_nats - exact) < 4 * certificate.standard_error
        assert 0 < certificate.standard_error < 0.1
