"""The certificate of `confidence_drawn` on chains small enough to go through every draw."""

import math
from itertools import combinations, permutations, product

import pytest
import torch

from lsd_core.certificates.drawn import ALONG_DRAWN
from lsd_core.certificates.masked import reverse
from lsd_core.paths.selection import BINS, classes_of, log_set
from lsd_core.samplers.loop import generate
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from tests.lsd_core.certificates.choices import at
from tests.lsd_core.certificates.enumerated import kl
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    chi_square,
    exact_backbone,
    joint_law,
    misfit_backbone,
    number_of,
    tv,
)

LENGTH, TOKENS = 3, 3
TABLES = [
    StepTable(counts=(3, 1, 0), gains=(0.8, 1.5)),
    StepTable(counts=(3, 2, 0)),
    StepTable(counts=(3, 2, 1, 0)),
]
JOINT = joint_law(1, TOKENS, LENGTH, 2.0)
NETWORKS = [misfit_backbone(0, TOKENS, LENGTH), exact_backbone(JOINT)]


def enumerated(backbone: TableBackbone, table: StepTable) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Laws of the sampler and of the reference over all states, and the exact expectation of the certificate."""
    paths = [(torch.full((LENGTH,), TOKENS), 1.0, 1.0, 0.0)]  # state, chances, log q - log p of the path
    for step in steps_of(table, LENGTH):
        paths = [new for path in paths for new in step_from(backbone, step, *path)]
    q, p = torch.zeros(2, (TOKENS + 1) ** LENGTH, dtype=torch.float64)
    bound = 0.0
    for x, chance, of_reference, gap in paths:
        number = int(number_of(x[None], TOKENS + 1)[0])
        q[number] += chance
        p[number] += of_reference
        bound += chance * gap
    return q, p, bound


def step_from(backbone, step, x, chance, of_reference, gap):
    seen = MaskedPrediction.of(backbone, x[None], at(backbone, x[None]), step)
    masked = seen.rows[1].tolist()
    log_q = seen.tokens(torch.arange(len(masked)))
    histogram = torch.zeros(len(masked), BINS, dtype=torch.float64).scatter_add(
        1, classes_of(log_q), log_q.exp()
    )
    size, found = step.counts[0] - step.counts[1], {}
    for tokens in all_states(TOKENS, len(masked)):
        log_p = log_q[torch.arange(len(masked)), tokens]
        kept = sorted(sorted(range(len(masked)), key=lambda i: (-float(log_p[i]), i))[:size])
        key = tuple((i, int(tokens[i])) for i in kept)
        found[key] = found.get(key, 0.0) + float(log_p.sum().exp())
    for chosen, tokens in product(combinations(range(len(masked)), size), all_states(TOKENS, size)):
        key = tuple(zip(chosen, tokens.tolist(), strict=True))
        weight = found.get(key, 0.0)  # 0 where the others always draw something likelier
        inside = torch.zeros(1, len(masked), dtype=torch.bool)
        inside[0, list(chosen)] = True
        set_chance = float(log_set(histogram[None], inside).exp())
        logs = []
        for order in permutations(key):
            state, log_p = x.clone(), 0.0
            for i, token in order:
                log_p += float(at(backbone, state[None])[0, masked[i]].log_softmax(-1)[token])
                state[masked[i]] = token
            logs.append(log_p)
        after = torch.tensor(logs, dtype=torch.float64)
        more = math.log(weight / set_chance) - float(after.mean()) if weight else 0.0
        yield state, chance * weight, of_reference * set_chance * float(after.exp().mean()), gap + more


@pytest.mark.parametrize("table", TABLES[:2], ids=lambda table: str(table.counts))
@pytest.mark.parametrize("backbone", NETWORKS, ids=["inconsistent", "consistent"])
def test_never_below_the_true_divergence_and_estimated_without_bias(
    backbone: TableBackbone, table: StepTable
) -> None:
    q, p, bound = enumerated(backbone, table)
    assert float(q.sum()) == pytest.approx(1)
    assert float(p.sum()) == pytest.approx(1)
    assert kl(q, p) - 1e-9 <= bound < kl(q, p) + 3
    found = reverse(backbone, "confidence_drawn", table, num_paths=1500, seed=4, batch=500)
    assert (found.bounds, found.reference) == ("KL(sampler || reference)", ALONG_DRAWN)
    assert abs(found.value_nats - bound) < 4 * found.standard_error
    assert 0 < found.standard_error < 0.1
    drawn = generate(backbone, "confidence_drawn", table, 2000, seed=5, batch=1000).tokens
    assert chi_square(drawn, q, TOKENS + 1) > 0.001


def test_of_a_consistent_network_the_reference_is_its_own_distribution() -> None:
    _, p, _ = enumerated(NETWORKS[1], TABLES[1])
    network = torch.zeros(4, 4, 4, dtype=torch.float64)
    network[:3, :3, :3] = JOINT
    assert tv(p, network.flatten()) < 1e-9


def test_selection_is_charged_for_even_at_one_token_a_step() -> None:
    """It cools: the sampler is not the network there, and its certificate says so."""
    q, p, bound = enumerated(NETWORKS[1], TABLES[2])
    assert bound > kl(q, p) > 0.01


def test_every_sequence_is_counted() -> None:
    backbone = misfit_backbone(0, TOKENS, LENGTH)
    found = reverse(backbone, "confidence_drawn", TABLES[0], num_paths=7, seed=4, batch=3)
    assert found.sequences == backbone.sequences == 7 * (2 + 1)
