"""The certificate of Tweedie steps without a mask, enumerated on networks that misjudge their chain."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from torch import Tensor

from lsd_core.certificates.jump import reverse_any, reverse_bridges
from lsd_core.paths.jump_terms import bridges_term, denoise_term
from lsd_core.samplers.full import predict
from lsd_core.samplers.recording import STOP
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import all_states, product_law
from tests.lsd_core.samplers.dense.noisy import GAUSSIAN, UNIFORM, Misfit, chain
from tests.lsd_core.samplers.dense.oracles import reverse_law

NETWORKS = {"uniform": Misfit(chain(UNIFORM)), "gaussian": Misfit(chain(GAUSSIAN))}
TABLES = [
    StepTable(times=(1.0, 0.0)),
    StepTable(times=(1.0, 0.6, 0.3, 0.0), gains=(0.8, 1.4, 1.0)),
    StepTable(times=tuple(1 - k / 12 for k in range(13))),
]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)

everywhere = pytest.mark.parametrize("name", list(NETWORKS))
every_table = pytest.mark.parametrize("table", TABLES)


def prior(network: Misfit) -> Tensor:
    return product_law(network.process.prior_probs().expand(1, network.length, -1))[0]


@cache
def enumerated(network: Misfit, table: StepTable) -> float:
    """The certificate's expectation, state by state; times on a grid that narrows toward 0."""
    x, law, total = all_states(network.process.num_states, network.length), prior(network), 0.0
    for step in steps_of(table, network.length):
        seen = predict(network, x, step.t, step)
        cells = np.geomspace(step.t, max(step.s, STOP), 7)
        for high, low in pairwise(cells):
            for node, weight in zip(NODES, WEIGHTS, strict=True):
                u = low + (high - low) * (node + 1) / 2
                joint = law[:, None] * product_law(seen.tweedie(float(u)).probs)
                before, here = (joint > 0).nonzero(as_tuple=True)
                terms = bridges_term(network, seen[before], x[here], float(u))
                total += weight * (high - low) / 2 * float((joint[before, here] * terms).sum())
        if step.last:
            joint = law[:, None] * product_law(seen.tweedie(STOP).probs)
            before, here = (joint > 0).nonzero(as_tuple=True)
            terms = denoise_term(network, seen[before], x[here], STOP)
            total += float((joint[before, here] * terms).sum())
        law = law @ product_law(seen.tweedie(step.s).probs)
    return total


@cache
def own_chain(network: Misfit) -> Tensor:
    """The law of the network's own chain, run down to the stop and denoised there."""
    x, law = all_states(network.process.num_states, network.length), prior(network)
    cells = [1.0, *(0.9 - 0.1 * k for k in range(9)), 0.05, 0.02, 0.01, 0.004, STOP]
    for t, s in pairwise(cells):
        law = reverse_law(network, law, t, s, pieces=60)  # type: ignore[arg-type]
    return law @ product_law(predict(network, x, STOP).tweedie(0.0).probs)


def truth(network: Misfit, table: StepTable) -> float:
    """KL of the sampler's output from the network's own chain."""
    x, law = all_states(network.process.num_states, network.length), prior(network)
    for step in steps_of(table, network.length):
        law = law @ product_law(predict(network, x, step.t, step).tweedie(step.s).probs)
    return kl(law, own_chain(network))


@everywhere
@every_table
@pytest.mark.slow
def test_it_is_never_below_the_true_divergence(name: str, table: StepTable) -> None:
    network = NETWORKS[name]
    true, bound = truth(network, table), enumerated(network, table)
    assert true - 1e-9 <= bound < true + 3


@everywhere
def test_it_vanishes_as_steps_shrink(name: str) -> None:
    coarse, _, fine = (enumerated(NETWORKS[name], table) for table in TABLES)
    assert fine < coarse / 4


@pytest.mark.slow
def test_the_sampled_form_estimates_the_enumerated_one() -> None:
    for table in TABLES[:2]:
        found = reverse_bridges(NETWORKS["uniform"], table, 8192, seed=1)
        assert abs(found.value_nats - enumerated(NETWORKS["uniform"], table)) < 5 * found.standard_error
        assert found.sequences == 8192 * (table.num_steps + 2)


def test_it_is_what_tweedie_steps_of_such_networks_report() -> None:
    assert (
        reverse_any(NETWORKS["uniform"], "tweedie", TABLES[0], num_paths=64, seed=1).kind == "reverse_bridges"
    )
    assert (
        reverse_any(NETWORKS["uniform"], "euler", TABLES[1], num_paths=64, seed=1).kind == "reverse_kernels"
    )
