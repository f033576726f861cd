"""Certificates of samplers that look at the tokens: never below the divergence they name, 0 one token at a time."""

import pytest
import torch

from lsd_core.certificates.masked import ALONG_CHOICES, forward_swapped, reverse
from lsd_core.errors import InputError
from lsd_core.paths.masked_terms import stopped_terms
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.entropy_bound import EntropyBound
from lsd_core.samplers.klass import Klass
from lsd_core.samplers.table import StepTable
from lsd_core.samplers.threshold import Threshold
from tests.lsd_core.certificates.choices import Choices, every_choice
from tests.lsd_core.certificates.enumerated import kl, output_law
from tests.lsd_core.oracles import TableBackbone, exact_backbone, joint_law, misfit_backbone, push, tv
from tests.lsd_core.samplers.test_adaptive import matrix

LENGTH = 3
SINGLY = StepTable(counts=(3, 2, 1, 0))
TABLES = [
    StepTable(counts=(3, 0)),
    StepTable(counts=(3, 1, 0), gains=(0.7, 2.5)),
    StepTable(counts=(3, 2, 0), gains=(1.6, 1.0)),
]
NETWORKS = [
    *[misfit_backbone(seed, 3, LENGTH) for seed in range(2)],
    misfit_backbone(2, 2, LENGTH, timed=True),
    misfit_backbone(3, 3, LENGTH, normalised=False),
]
CONSISTENT = [joint_law(seed, 3, LENGTH, 2.0) for seed in range(2)]
RULES = [
    SAMPLERS["confidence"],
    SAMPLERS["margin"],
    SAMPLERS["entropy"],
    SAMPLERS["entropy_share"],
    EntropyBound(0.9),
    Threshold(0.5),
    Klass(0.4, 0.5),
]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def certified(backbone: TableBackbone, table: StepTable, choices: Choices) -> float:
    """The exact expectation of the certificate."""
    total = 0.0
    for n in range(1, backbone.length + 1):
        stops = torch.full((len(choices.paths),), n)
        terms = stopped_terms(backbone, table, choices.paths, None, stops, "reverse")
        total += float((choices.sampler * terms).sum())
    return total


@every_rule
def test_the_enumerated_paths_are_the_samplers(rule) -> None:
    for table in TABLES:
        found = every_choice(rule, NETWORKS[0], table)
        law = output_law(NETWORKS[0], found.paths, found.sampler)
        assert float(law.sum()) == pytest.approx(1)
        assert float(found.reference.sum()) == pytest.approx(1)
        if rule.name != "klass":  # its choice depends on the step before too
            assert tv(law, push(rule, NETWORKS[0], table, matrix)) < 1e-12


@every_rule
@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.counts))
def test_never_below_the_true_divergence(rule, table: StepTable) -> None:
    gaps = []
    for backbone in NETWORKS:
        found = every_choice(rule, backbone, table)
        laws = [output_law(backbone, found.paths, law) for law in (found.sampler, found.reference)]
        true, bound = kl(*laws), certified(backbone, table, found)
        assert true - 1e-9 <= bound < true + 10
        gaps.append(bound - true)
    assert max(gaps) > 1e-3  # these networks contradict themselves, so orders are told apart


@every_rule
@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.counts))
def test_of_a_consistent_network_it_is_the_divergence_from_its_own_distribution(
    rule, table: StepTable
) -> None:
    for joint in CONSISTENT:
        backbone = exact_backbone(joint)
        found = every_choice(rule, backbone, table)
        network = torch.zeros(4, 4, 4, dtype=torch.float64)
        network[:3, :3, :3] = joint
        assert tv(output_law(backbone, found.paths, found.reference), network.flatten()) < 1e-12
        true = kl(output_law(backbone, found.paths, found.sampler), network.flatten())
        assert certified(backbone, table, found) == pytest.approx(true, abs=1e-9)
        assert true > 0.01


ONE_A_STEP = [*RULES[:3], EntropyBound(0.0), Threshold(1.0), Klass(1.0, 0.0)]


@pytest.mark.parametrize("rule", ONE_A_STEP, ids=lambda rule: rule.name)
def test_one_token_a_step_is_certified_at_zero(rule) -> None:
    for backbone in NETWORKS:
        found = every_choice(rule, backbone, SINGLY)
        assert len(found.paths) == backbone.process.num_tokens**LENGTH
        assert certified(backbone, SINGLY, found) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["confidence", "entropy_share"])
@pytest.mark.parametrize("backbone", [NETWORKS[0], NETWORKS[2]], ids=["time-free", "timed"])
def test_sampled_certificates_estimate_the_enumerated_one(name: str, backbone: TableBackbone) -> None:
    table = TABLES[1]
    exact = certified(backbone, table, every_choice(SAMPLERS[name], backbone, table))
    backbone.sequences = 0
    found = reverse(backbone, name, table, num_paths=4000, seed=3, batch=1000)
    assert found.sequences == backbone.sequences
    assert (found.bounds, found.reference) == ("KL(sampler || reference)", ALONG_CHOICES)
    assert abs(found.value_nats - exact) < 4 * found.standard_error
    assert 0 < found.standard_error < 0.1
    repeats = [
        reverse(backbone, name, table, num_paths=30, seed=seed, batch=30).value_nats for seed in range(20)
    ]
    spread = torch.tensor(repeats).std() / 20**0.5
    assert abs(sum(repeats) / 20 - exact) < 4 * float(spread)


@pytest.mark.parametrize("name", ["confidence", "confidence_drawn"])
def test_the_forward_certificate_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="sampler must look at the network once a step"):
        forward_swapped(NETWORKS[0], name, SINGLY, num_paths=4, seed=0, batch=4)
