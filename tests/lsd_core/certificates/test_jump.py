"""Certificates for any process, enumerated: uniform, gaussian, and absorbing with token-dependent reveals."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.certificates.jump import reverse_any, reverse_kernels, reverse_leaping
from lsd_core.errors import InputError
from lsd_core.paths.jump_terms import bridge_term, frozen_term, kernel_term, prior_term, rate_divergence
from lsd_core.processes import Exponential, Gaussian, Geometric, Uniform
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.full import growth_between, predict
from lsd_core.samplers.full_kernels import last_jump_kernel
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import AbsorbingScores, all_states, joint_law, misfit_backbone, product_law
from tests.lsd_core.samplers.dense.oracles import ExactScores, reverse_law, step_matrix

UNIFORM = ExactScores(Uniform(3, Geometric(1e-2, 3.0)), joint_law(0, 3, 2, 0.7), misfit=0.4)
GAUSSIAN = ExactScores(
    Gaussian(3, Exponential(0.05, 10.0), rate_sigma=1.5, prior_sigma=3.0), joint_law(1, 3, 2, 0.7), misfit=0.3
)
REVEALS = AbsorbingScores(misfit_backbone(3, 2, 2, normalised=False))  # row sums, so reveals, know the tokens
TABLES = [
    StepTable(times=(1.0, 0.2, 0.0)),
    StepTable(times=(1.0, 0.7, 0.45, 0.2, 0.0), gains=(0.8, 1.0, 1.5, 1.0)),
    StepTable(times=(1.0, 0.6, 0.2, 0.0), gains=(1.3, 0.7, 1.0), gain_on="score"),
]
DELTA = 0.2
FINE = (*(1 - 0.8 * k / 16 for k in range(16)), DELTA, 0.0)  # 16 equal steps, then the denoise
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)

every_table = pytest.mark.parametrize("table", TABLES)


def states(backbone: ScoreBackbone) -> Tensor:
    return all_states(backbone.process.num_states, backbone.length)


def prior(backbone: ScoreBackbone) -> Tensor:
    return product_law(backbone.process.prior_probs().double().expand(1, backbone.length, -1))[0]


def laws_at_steps(backbone: ScoreBackbone, sampler: str, table: StepTable) -> tuple[list[Step], list[Tensor]]:
    """The steps before the denoise, and the sampler's law over states at the start of each and at delta."""
    steps, laws = list(steps_of(table, backbone.length))[:-1], [prior(backbone)]
    for step in steps:
        laws.append(laws[-1] @ step_matrix(SAMPLERS[sampler], backbone, step))
    return steps, laws


def times_between(t: float, s: float) -> list[tuple[float, float]]:
    """Gauss-Legendre nodes and weights on [s, t]."""
    pairs = zip(NODES, WEIGHTS, strict=True)
    return [(s + (t - s) * (node + 1) / 2, weight * (t - s) / 2) for node, weight in pairs]


@cache
def leaping_bound(backbone: ScoreBackbone, table: StepTable) -> float:
    """E_q of the time integral, state by state."""
    steps, laws = laws_at_steps(backbone, "tau_leaping", table)
    x, total = states(backbone), 0.0
    for step, law in zip(steps, laws, strict=False):
        rates = predict(backbone, x, step.t, step).rates()
        for t, weight in times_between(step.t, step.s):
            joint = law[:, None] * product_law(last_jump_kernel(rates, x, step.t - t).probs)
            before, here = (joint > 0).nonzero(as_tuple=True)
            terms = frozen_term(backbone, x[before], x[here], step, t)
            total += weight * float((joint[before, here] * terms).sum())
    return total


@cache
def kernels_bound(backbone: ScoreBackbone, sampler: str, table: StepTable) -> float:
    """E_q of log prior + log q - log f + the evidence bound, state by state."""
    process, x = backbone.process, states(backbone)
    steps, laws = laws_at_steps(backbone, sampler, table)
    total = float((laws[0] * laws[0].log()).sum())
    for step, law in zip(steps, laws, strict=False):
        kernel = SAMPLERS[sampler].kernel(predict(backbone, x, step.t, step), step)
        joint = law[:, None] * product_law(kernel.probs)
        before, after = (joint > 0).nonzero(as_tuple=True)
        chosen = type(kernel)(kernel.probs[before])
        terms = kernel_term(process, chosen, x[before], x[after], step)
        total += float((joint[before, after] * terms).sum())
    total += float((laws[-1] * prior_term(process, x, DELTA)).sum())
    cells = np.linspace(DELTA, 1, 9)
    for s, t_top in pairwise(cells):
        for t, weight in times_between(t_top, s):
            forward = product_law(process.transition(growth_between(process, t, DELTA))[x])
            end, here = (forward > 0).nonzero(as_tuple=True)
            terms = bridge_term(backbone, x[end], x[here], DELTA, t)
            total += weight * float((laws[-1][end] * forward[end, here] * terms).sum())
    return total


@cache
def own_chain(backbone: ScoreBackbone) -> Tensor:
    """The law of the network's own chain at delta."""
    return reverse_law(backbone, prior(backbone), 1.0, DELTA, pieces=400)  # type: ignore[arg-type]


def truth(backbone: ScoreBackbone, sampler: str, table: StepTable) -> float:
    """KL between the sampler's law at delta and the network's own chain's."""
    _, laws = laws_at_steps(backbone, sampler, table)
    return kl(laws[-1], own_chain(backbone))


@pytest.mark.parametrize("backbone", [UNIFORM, REVEALS], ids=["uniform", "absorbing"])
@every_table
def test_leaping_is_never_below_the_true_divergence(backbone: ScoreBackbone, table: StepTable) -> None:
    true = truth(backbone, "tau_leaping", table)
    assert true - 1e-9 <= leaping_bound(backbone, table) < true + 20


@pytest.mark.parametrize(
    ("backbone", "sampler"),
    [(UNIFORM, "tau_leaping"), (UNIFORM, "euler"), (UNIFORM, "tweedie"), (GAUSSIAN, "tau_leaping")],
    ids=["uniform-leap", "uniform-euler", "uniform-tweedie", "gaussian-leap"],
)
@every_table
def test_kernels_is_never_below_the_true_divergence(
    backbone: ScoreBackbone, sampler: str, table: StepTable
) -> None:
    true = truth(backbone, sampler, table)
    assert true - 1e-9 <= kernels_bound(backbone, sampler, table) < true + 10


def test_leaping_vanishes_with_the_steps_and_kernels_keeps_a_floor() -> None:
    coarse, fine = (
        leaping_bound(UNIFORM, StepTable(times=each)) for each in ((*FINE[:16:4], DELTA, 0.0), FINE)
    )
    assert fine < coarse / 3
    assert kernels_bound(UNIFORM, "tau_leaping", StepTable(times=FINE)) > fine


@pytest.mark.parametrize("backbone", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])
def test_the_prior_is_charged_for_what_the_forward_chain_remembers(backbone: ScoreBackbone) -> None:
    process, delta = backbone.process, 0.9  # so late that much is remembered
    end = states(backbone)
    forward = product_law(process.transition(growth_between(process, 1.0, delta))[end])
    remembered = torch.tensor([kl(law, prior(backbone)) for law in forward], dtype=torch.float64)
    assert float(remembered.min()) > 0.01
    torch.testing.assert_close(prior_term(process, end, delta), remembered)


def test_equal_rates_do_not_diverge_and_impossible_jumps_do_so_without_bound() -> None:
    x = torch.tensor([[0]])
    rates = torch.tensor([[[9.0, 1.0, 2.0]]])
    assert rate_divergence(rates, rates, x).tolist() == [0.0]
    never = torch.tensor([[[9.0, 0.0, 2.0]]])
    assert rate_divergence(rates, never, x).tolist() == [torch.inf]
    assert rate_divergence(never, rates, x).tolist() == [1.0]


def test_sampled_forms_estimate_the_enumerated_ones() -> None:
    table = TABLES[1]
    leaping = reverse_leaping(UNIFORM, table, 2048, seed=1)
    kernels = reverse_kernels(UNIFORM, SAMPLERS["tau_leaping"], table, 2048, seed=2)
    for found, exact in (
        (leaping, leaping_bound(UNIFORM, table)),
        (kernels, kernels_bound(UNIFORM, "tau_leaping", table)),
    ):
        assert abs(found.value_nats - exact) < 5 * found.standard_error
        assert 0 < found.standard_error < 0.1 * exact


@pytest.mark.slow
def test_the_smaller_form_is_reported_with_its_cost() -> None:
    before = UNIFORM.sequences
    found = reverse_any(UNIFORM, "tau_leaping", StepTable(times=FINE), num_paths=64, seed=1)
    assert found.kind == "reverse_leaping"
    assert found.num_paths == 64
    assert found.sequences == UNIFORM.sequences - before
    assert reverse_any(GAUSSIAN, "tau_leaping", TABLES[0], num_paths=64, seed=1).kind == "reverse_kernels"


@pytest.mark.parametrize(
    ("sampler", "table", "message"),
    [
        ("theta_trapezoidal", TABLES[0], "sampler must look at the network once a step"),
        ("euler", StepTable(times=(1.0, 0.0)), "table must hold times"),
    ],
)
def test_what_cannot_be_certified_is_refused(sampler: str, table: StepTable, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reverse_any(UNIFORM, sampler, table, num_paths=8, seed=1)
