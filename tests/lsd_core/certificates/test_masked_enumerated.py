"""On chains small enough to enumerate, a certificate is never below the divergence that it names."""

from itertools import permutations
from math import factorial

import pytest
import torch

from lsd_core.certificates.masked import forward_swapped, forward_teacher, reverse
from lsd_core.paths.path_terms import path_cost, teacher_cost
from lsd_core.paths.sampler_paths import Paths
from lsd_core.samplers.catalog import get_sampler, steps_in_counts
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.trajectories.types import TIME_GRID, Trajectories
from tests.lsd_core.certificates.enumerated import (
    BATCH,
    every_path,
    kl,
    output_law,
    path_law,
    summed_terms,
)
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    exact_backbone,
    exact_law,
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
    ("euler", uniform_times(1)),
    ("euler", uniform_times(3).with_gains((0.8, 1.6, 2.5))),
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
    bound = summed_terms(backbone, table, paths, path_law(backbone, table, paths, chance), "reverse")
    true = kl(out(backbone, sampler, table), out(backbone, singly(sampler), SINGLY))
    assert bound >= true - 1e-9
    assert bound < true + 10  # a bound of its size, not a number that is always large


@every_backbone
@every_table
def test_swapped_is_never_below_the_true_divergence(
    backbone: TableBackbone, sampler: str, table: StepTable
) -> None:
    paths, chance = every_path(backbone, sampler, table)
    one_by_one = Paths(paths.x_end, paths.rank, paths.rank, paths.mask)
    weight = path_law(backbone, SINGLY, one_by_one, chance)
    bound = summed_terms(backbone, table, paths, weight, "forward")
    true = kl(out(backbone, singly(sampler), SINGLY), out(backbone, sampler, table))
    assert true - 1e-9 <= bound < true + 10


@every_backbone
@pytest.mark.parametrize("sampler", ["fixed_counts", "halton"])
def test_one_token_at_a_time_is_certified_at_zero(backbone: TableBackbone, sampler: str) -> None:
    paths, chance = every_path(backbone, sampler, SINGLY)
    weight = path_law(backbone, SINGLY, paths, chance)
    assert summed_terms(backbone, SINGLY, paths, weight, "reverse") == pytest.approx(0, abs=1e-12)


def exact_teacher_paths(backbone: TableBackbone) -> tuple[Trajectories, torch.Tensor]:
    """All paths of the exact chain: each token in the early or the late half of time, all orders inside."""
    tokens = all_states(backbone.process.num_tokens, LENGTH)
    ends, ticks, ranks = [], [], []
    orders = list(permutations(range(LENGTH)))
    for num_early in range(LENGTH + 1):
        for rank in orders:
            rows = torch.tensor(rank).expand_as(tokens)
            ends.append(tokens)
            ranks.append(rows)
            ticks.append(torch.where(rows < num_early, TIME_GRID * 3 // 4, TIME_GRID // 4) - rows)
    chance = torch.tensor(
        [
            factorial(LENGTH) // factorial(n) // factorial(LENGTH - n) / 2**LENGTH / len(orders)
            for n in range(LENGTH + 1)
            for _ in range(len(orders) * len(tokens))
        ],
        dtype=torch.float64,
    )
    end = torch.cat(ends)
    teacher = Trajectories(
        index=torch.arange(len(end)),
        num_tokens=backbone.process.num_tokens,
        x_end=end,
        reveal_time=torch.cat(ticks),
        rank=torch.cat(ranks),
    )
    return teacher, chance


def step_teacher_paths(backbone: TableBackbone, steps: int) -> tuple[Trajectories, torch.Tensor]:
    """All paths of a teacher of N plain Euler steps."""
    paths, chance = every_path(backbone, "euler", uniform_times(steps))
    teacher = Trajectories(
        index=torch.arange(len(paths)),
        num_tokens=backbone.process.num_tokens,
        x_end=paths.x_end,
        rank=paths.rank,
        reveal_step=paths.step,
        steps=steps,
    )
    return teacher, chance


@pytest.mark.parametrize("kind", ["exact", "steps"])
@every_backbone
@every_table
def test_forward_teacher_is_never_below_the_true_divergence(
    backbone: TableBackbone, sampler: str, table: StepTable, kind: str
) -> None:
    if kind == "exact":
        teacher, chance = exact_teacher_paths(backbone)
        teacher_law = exact_law(backbone)
    else:
        teacher, chance = step_teacher_paths(backbone, 4)
        teacher_law = out(backbone, "euler", uniform_times(4))
    own, _ = teacher_cost(backbone, teacher, BATCH)
    weight = chance * (-own).exp()
    assert teacher.x_end is not None
    assert teacher.rank is not None
    ends = Paths(teacher.x_end.long(), teacher.rank.long(), teacher.rank.long(), teacher.mask)
    assert tv(output_law(backbone, ends, weight), teacher_law) < 1e-12
    bound = float((weight * (charged(backbone, sampler, table, ends) - own)).sum())
    true = kl(teacher_law, out(backbone, sampler, table))
    assert true - 1e-9 <= bound < true + 10


def charged(backbone: TableBackbone, sampler: str, table: StepTable, teacher: Paths) -> torch.Tensor:
    """-log q that the sampler charges for each of a teacher's paths (n,), in expectation.

    The expectation is over its own cuts and, where it has an order of its own, over that: both are independent of
    the teacher's paths.
    """
    paths, chance = every_path(backbone, sampler, table)
    cost = chance * path_cost(backbone, table, paths, BATCH)
    ranks = [paths.rank, teacher.rank]
    if paths.order.exchangeable:
        cost = factorial(LENGTH) * cost  # given the teacher's order, which is kept
    else:
        ranks = [torch.zeros_like(rank) for rank in ranks]
    mine, theirs = _key(paths.x_end, ranks[0]), _key(teacher.x_end, ranks[1])
    return torch.zeros(int(mine.max()) + 1, dtype=torch.float64).index_add(0, mine, cost)[theirs]


def _key(x_end: torch.Tensor, rank: torch.Tensor) -> torch.Tensor:
    """A number for each (sequence, order)."""
    digits = torch.cat([x_end, rank], dim=1)
    return (digits * 3 ** torch.arange(digits.shape[1])).sum(1)


SAMPLED = [TABLES[1], TABLES[4], TABLES[7], TABLES[8]]


@pytest.mark.parametrize(("sampler", "table"), SAMPLED)
def test_sampled_certificates_estimate_the_enumerated_ones(sampler: str, table: StepTable) -> None:
    backbone = BACKBONES[0]
    paths, chance = every_path(backbone, sampler, table)
    exact_reverse = summed_terms(backbone, table, paths, path_law(backbone, table, paths, chance), "reverse")
    one_by_one = Paths(paths.x_end, paths.rank, paths.rank, paths.mask)
    weight = path_law(backbone, SINGLY, one_by_one, chance)
    exact_swapped = summed_terms(backbone, table, paths, weight, "forward")
    one_teacher, chance = every_path(backbone, "fixed_counts", SINGLY)
    own = path_cost(backbone, SINGLY, one_teacher, BATCH)
    excess = charged(backbone, sampler, table, one_teacher) - own
    exact_forward = float((chance * (-own).exp() * excess).sum())
    teacher = first_hitting(backbone, Draws(5, torch.arange(4000)))
    found = [
        (exact_reverse, reverse(backbone, sampler, table, num_paths=4000, seed=3, batch=1000)),
        (exact_swapped, forward_swapped(backbone, sampler, table, num_paths=4000, seed=4, batch=1000)),
        (exact_forward, forward_teacher(backbone, sampler, table, teacher, seed=6, batch=1000)),
    ]
    for exact, certificate in found:
        assert certificate.bounds is not None
        assert abs(certificate.value_nats - exact) < 4 * certificate.standard_error
        assert 0 < certificate.standard_error < 0.1
