"""Path-KL along the choices of samplers that look at the tokens, judged by the exact divergence of a small mixture."""

import json
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch

from lsd_core.certificates.masked import reverse
from lsd_core.distillation.controls import plain
from lsd_core.distillation.gains import choose_gains
from lsd_core.distillation.learned import Kept, Learned, Problem
from lsd_core.distillation.path_kl import fit, fit_all
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig
from lsd_core.distillation.path_models import path_model
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.paths.chosen_model import nodes_for
from lsd_core.paths.model import EdgeCosts
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable
from tests.lsd_core.joints import JointBackbone, divergence, mixture, permuted_chain

LENGTH, STEPS = 6, 2
SCHEDULE = PathKLScheduleConfig(price_sequences=3000)
GAINS = PathKLConfig(price_sequences=3000, gain_paths=150, candidates=(0.8, 1.0, 1.25))


@pytest.fixture(scope="module")
def backbone() -> JointBackbone:
    """Four classes that every position depends on, more or less: dependence is no matter of distance."""
    return mixture(0, 3, LENGTH, 4, [2.2, 0.9, 2.8, 0.3, 2.5, 1.6])


@pytest.fixture(scope="module")
def kept() -> Kept:
    return Kept()


def problem(backbone: JointBackbone, sampler: str, steps: int = STEPS, **more: Any) -> Problem:
    return Problem(
        backbone=backbone, sampler=sampler, num_steps=steps, trajectories=None, seed=3, batch=512, **more
    )


@pytest.mark.parametrize("sampler", ["confidence", "margin"])
def test_the_schedule_is_that_of_least_divergence(backbone: JointBackbone, kept: Kept, sampler: str) -> None:
    found = fit(problem(backbone, sampler, keep=kept), SCHEDULE)
    learned = divergence(backbone, sampler, found.table)
    every = [
        StepTable(counts=(LENGTH, *inner, 0)) for inner in combinations(range(LENGTH - 1, 0, -1), STEPS - 1)
    ]
    assert learned < min(divergence(backbone, sampler, table) for table in every) + 0.02
    assert learned < 0.8 * divergence(backbone, sampler, plain(sampler, STEPS, LENGTH))
    assert found.diagnostics["price_nats"] == pytest.approx(learned, abs=0.1)


def test_gains_lower_the_divergence_or_leave_it(backbone: JointBackbone, kept: Kept) -> None:
    schedule, found = (
        fit(problem(backbone, "confidence", keep=kept), config) for config in (SCHEDULE, GAINS)
    )
    assert found.table.counts == schedule.table.counts
    exact = divergence(backbone, "confidence", found.table)
    assert exact <= divergence(backbone, "confidence", schedule.table) + 1e-3
    assert found.diagnostics["reverse_bound_nats"] == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize("steps", [2, 3])
def test_where_costs_mislead_equal_quotas_are_kept(steps: int) -> None:
    """On a chain all positions look alike at first, so that costs along its choices say little."""
    chain = permuted_chain(0, 3, LENGTH, 0.8)
    found = fit(problem(chain, "confidence", steps), replace(GAINS, price_sequences=20_000))
    exact = divergence(chain, "confidence", found.table)
    assert exact <= divergence(chain, "confidence", plain("confidence", steps, LENGTH)) + 0.02
    bounds = found.diagnostics["bounds_nats"]
    assert min(bounds, key=bounds.get) == found.diagnostics["taken"]
    assert min(bounds.values()) == pytest.approx(exact, abs=0.1)


def test_thresholds_are_fitted_to_the_budget(backbone: JointBackbone, kept: Kept) -> None:
    found = fit(problem(backbone, "entropy_bound", keep=kept), replace(GAINS, price_sequences=20_000))
    assert found.table.thresholds is not None
    learned = divergence(backbone, "entropy_bound", found.table)
    assert learned < 0.6 * divergence(backbone, "entropy_bound", plain("entropy_bound", STEPS, LENGTH))
    assert learned < 0.8 * divergence(backbone, "entropy", plain("entropy", STEPS, LENGTH))
    calls = generate(backbone, "entropy_bound", found.table, 64, seed=1).calls
    assert int(calls.max()) <= STEPS
    assert min(found.diagnostics["threshold_nats"]) < max(found.diagnostics["threshold_nats"])


@pytest.mark.parametrize("sampler", ["confidence", "klass", "confidence_drawn"])
def test_every_sequence_is_counted_and_the_same_comes_out_again(
    backbone: JointBackbone, sampler: str
) -> None:
    config = PathKLConfig(price_sequences=100, gain_paths=8, candidates=(1.0, 1.5))
    found = list[Learned]()
    for _ in range(2):
        backbone.sequences = 0
        found.append(fit(problem(backbone, sampler), config))
        assert found[-1].sequences == backbone.sequences
    assert found[0] == found[1]
    assert (found[0].table.thresholds is not None) is (sampler == "klass")


@pytest.mark.parametrize(
    ("sampler", "table"),
    [
        ("confidence", StepTable(counts=(6, 4, 0))),
        ("entropy_bound", StepTable(counts=(6, 4, 0), thresholds=(0.9, 1.0))),
        ("confidence_drawn", StepTable(counts=(6, 4, 0))),
    ],
)
def test_the_cost_that_chooses_gains_is_the_reverse_certificate(
    backbone: JointBackbone, sampler: str, table: StepTable
) -> None:
    model, paths = path_model(problem(backbone, sampler), GAINS, STEPS), 800
    gains = choose_gains(model, table, (1.0, 1.4), Draws(1, torch.arange(paths)))
    certificate = reverse(backbone, sampler, gains.table, num_paths=paths, seed=2, batch=500)
    assert abs(gains.bound - certificate.value_nats) < 4 * 2**0.5 * certificate.standard_error
    assert 4 * certificate.standard_error < 0.5 * certificate.value_nats


def test_one_token_a_step_is_never_sharpened(backbone: JointBackbone) -> None:
    singly = StepTable(counts=tuple(range(LENGTH, -1, -1)))
    model = path_model(problem(backbone, "confidence"), GAINS, LENGTH)
    gains = choose_gains(model, singly, (0.8, 1.0, 1.6), Draws(1, torch.arange(32)))
    assert set(gains.table.gains) == {1.0}
    assert gains.bound == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("sampler", "config", "message"),
    [
        ("entropy_share", SCHEDULE, "sampler must not be entropy_share"),
        ("confidence", PathKLScheduleConfig(pooled=True), "pooled must be false for confidence"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    backbone: JointBackbone, sampler: str, config: PathKLScheduleConfig, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(problem(backbone, sampler), config)


@pytest.mark.parametrize("sampler", ["confidence", "entropy_bound", "confidence_drawn"])
def test_one_pass_serves_all_numbers_of_steps_and_each_is_as_if_learned_alone(
    backbone: JointBackbone, sampler: str
) -> None:
    config, measured = PathKLScheduleConfig(price_sequences=200), list[str]()
    kept = Kept()

    def counting(name: Any, make: Any) -> Any:
        def counted() -> Any:
            measured.append(name[0])
            return make()

        return kept(name, counted)

    together = fit_all(problem(backbone, sampler, keep=counting), config, [2, 3, 4])
    assert measured.count("edge costs") == 1
    for steps, found in together.items():
        alone = fit(problem(backbone, sampler, steps), config)
        assert (found.table, found.sequences) == (alone.table, alone.sequences)
        assert found.table.num_steps == steps


def test_costs_are_read_to_the_bit_and_lie_between_those_of_few_steps_and_of_many(
    backbone: JointBackbone,
) -> None:
    model = path_model(problem(backbone, "entropy_bound"), SCHEDULE, STEPS)
    costs = model.edge_costs(model.reference(200).draw()[0])
    read = EdgeCosts.from_dict(json.loads(canonical_json(costs.to_dict())))
    (few, coarse), (many, fine) = costs.along
    assert (few, many) == (2, 8)
    assert not torch.equal(coarse.cost, fine.cost)
    for steps in (1, 2, 3, 4, 8, 16):
        own, again = costs.for_steps(steps), read.for_steps(steps)
        assert torch.equal(own.cost, again.cost)
        assert (own.levels, own.own, own.sequences) == (again.levels, again.own, again.sequences)
    assert torch.equal(costs.for_steps(2).cost, coarse.cost)
    assert torch.equal(costs.for_steps(16).cost, fine.cost)
    assert torch.allclose(costs.for_steps(4).cost, (coarse.cost + fine.cost) / 2)
    assert costs.for_steps(8).levels == fine.levels
    assert [len(level) for level in fine.levels] == list(model.counts[:-1])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("steps", "length", "nodes"), [(4, 120, 40), (40, 120, 40), (41, 120, 80), (4, 6, 6)]
)
def test_schedules_of_up_to_forty_steps_are_sought_on_one_grid(steps: int, length: int, nodes: int) -> None:
    assert nodes_for(steps, length) == nodes
