"""Path-KL on the exact countdown: better than any control, at the cost it says, the same every time."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.certificates.masked import reverse
from lsd_core.distillation.gains import choose_gains, mildest_within_error, sharpest_within_error
from lsd_core.distillation.learned import Kept, Learned, Problem
from lsd_core.distillation.path_kl import fit, fit_all
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig, PathKLSharpConfig
from lsd_core.errors import InputError
from lsd_core.metrics.countdown import error
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, cosine_times
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.distillation.chains import stepped_paths
from tests.lsd_core.oracles import misfit_backbone

LENGTH = 32
CONFIG = PathKLConfig(price_sequences=32 * LENGTH, gain_paths=64)
FEW = PathKLConfig(price_sequences=32 * LENGTH, gain_paths=8, candidates=(1.0, 1.5, 2.0))
"""Of a table that is compared with another and not judged."""


@pytest.fixture(scope="module")
def backbone() -> MarkovExact:
    return exact_backbone("short", LENGTH, num_values=16)


@pytest.fixture(scope="module")
def teacher(backbone: MarkovExact) -> Trajectories:
    return first_hitting(backbone, Draws(1, torch.arange(40)))


@pytest.fixture(scope="module")
def learned(backbone: MarkovExact, teacher: Trajectories) -> Learned:
    return fit(problem(backbone, teacher), CONFIG)


@pytest.fixture(scope="module")
def roughly(backbone: MarkovExact, teacher: Trajectories) -> Learned:
    return fit(problem(backbone, teacher), FEW)


def problem(backbone: MarkovExact, teacher: Trajectories | None, **changes: object) -> Problem:
    given = {"sampler": "euler", "num_steps": 6, "seed": 3, "batch": 16} | changes
    return Problem(backbone=backbone, trajectories=teacher, **given)  # type: ignore[arg-type]


def model(backbone: MarkovExact, batch: int, sampler: str = "euler") -> MaskedModel:
    return MaskedModel(backbone=backbone, method=named(sampler, backbone), batch=batch)


def test_beats_cosine_by_half_and_gains_beat_none(
    backbone: MarkovExact, teacher: Trajectories, learned: Learned
) -> None:
    tables = {
        "learned": learned.table,
        "schedule": fit(problem(backbone, teacher), PathKLScheduleConfig()).table,
        "cosine": cosine_times(6),
    }
    errors = {
        name: float(error(generate(backbone, "euler", table, 1024, seed=7, batch=128).tokens).mean())
        for name, table in tables.items()
    }
    assert errors["learned"] < 0.5 * errors["cosine"]
    assert errors["learned"] < 0.8 * errors["schedule"]
    assert errors["schedule"] < errors["cosine"]


@pytest.mark.slow
def test_the_family_shares_a_schedule_and_differs_in_its_gains(
    backbone: MarkovExact, teacher: Trajectories, learned: Learned
) -> None:
    schedule = fit(problem(backbone, teacher), PathKLScheduleConfig(price_sequences=32 * LENGTH))
    sharp = fit(problem(backbone, teacher), PathKLSharpConfig(price_sequences=32 * LENGTH, gain_paths=64))
    assert schedule.table == learned.table.with_gains(1.0)
    assert sharp.table == learned.table.with_gains(tuple(gain**2 for gain in learned.table.gains))
    assert max(learned.table.gains) > 1
    assert schedule.sequences < learned.sequences == sharp.sequences


def test_counts_every_sequence_and_repeats_itself(
    backbone: MarkovExact, teacher: Trajectories, roughly: Learned
) -> None:
    calls = 0
    features = MarkovExact.features

    class Counted(MarkovExact):
        def features(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += len(x)
            return features(self, x, t)

    counted = Counted("short", backbone.config, backbone.tensors())
    again = fit(problem(counted, teacher, batch=9), FEW)
    assert again.sequences == calls == roughly.sequences
    assert again.table == roughly.table
    assert len(again.history["gains"]) == len(again.history["cost_nats"]) == 6


def test_one_pricing_pass_serves_all_numbers_of_steps(
    backbone: MarkovExact, teacher: Trajectories, roughly: Learned
) -> None:
    together = fit_all(problem(backbone, teacher), FEW, [2, 6])
    assert [together[m].table.num_steps for m in (2, 6)] == [2, 6]
    assert together[6].table == roughly.table


def test_what_is_kept_prices_once_for_all_cells_members_and_seeds(
    backbone: MarkovExact, teacher: Trajectories, roughly: Learned
) -> None:
    made = Counter[str]()
    counting = counting_in(made)
    schedule = PathKLScheduleConfig(price_sequences=FEW.price_sequences)
    for steps, config, seed in ((4, FEW, 3), (6, schedule, 3), (6, schedule, 4)):
        fit(problem(backbone, teacher, num_steps=steps, seed=seed, keep=counting), config)
    assert fit(problem(backbone, teacher, keep=counting), FEW) == roughly
    assert made["edge costs"] == 1
    fit(problem(backbone, teacher, keep=counting), PathKLScheduleConfig(price_sequences=16 * LENGTH))
    assert made["edge costs"] == 2


def counting_in(made: Counter[str]) -> Callable[[Hashable, Callable[[], Any]], Any]:
    """A cache that counts what it has made, by the first word of its name."""
    kept = Kept()

    def counting(name: Hashable, make: Callable[[], Any]) -> Any:
        def counted() -> Any:
            assert isinstance(name, tuple)
            made[name[0]] += 1
            return make()

        return kept(name, counted)

    return counting


def test_members_with_gains_choose_them_once_and_each_is_as_if_learned_alone(
    backbone: MarkovExact, teacher: Trajectories, roughly: Learned
) -> None:
    made, seen = Counter[str](), list[tuple[int, Mapping[str, Any]]]()
    sharp = PathKLSharpConfig(
        price_sequences=FEW.price_sequences, gain_paths=FEW.gain_paths, candidates=FEW.candidates
    )
    given = problem(backbone, teacher, keep=counting_in(made), watch=lambda *entry: seen.append(entry))
    assert fit(given, FEW) == roughly
    assert max(roughly.table.gains) > 1
    told = [*seen]
    assert fit(given, sharp) == fit(problem(backbone, teacher), sharp)
    assert made["gains"] == 1
    assert seen == [*told, *told]  # who watches sees both grow
    assert [step for step, _ in told] == list(range(6))
    for change in ({"seed": 4}, {"num_steps": 4}, {"sampler": "halton"}):
        fit(replace(given, **change), FEW)  # type: ignore[arg-type]
    fit(given, replace(FEW, gain_paths=4))
    fit(given, replace(FEW, candidates=(1.0, 3.0)))
    assert made["gains"] == 6


def test_moments_inside_a_teachers_steps_follow_the_seed_and_so_do_their_prices(
    backbone: MarkovExact,
) -> None:
    coarse, kept = stepped_paths(backbone, 40, steps=4), Kept()
    config = PathKLScheduleConfig(price_sequences=32 * LENGTH)
    for seed in (3, 4):
        apart = fit(problem(backbone, coarse, seed=seed), config)
        assert fit(problem(backbone, coarse, seed=seed, keep=kept), config) == apart


def test_a_single_reveal_is_never_sharpened(backbone: MarkovExact) -> None:
    table = StepTable(counts=tuple(range(LENGTH, -1, -1)))
    draws = Draws(1, torch.arange(8))
    gains = choose_gains(model(backbone, batch=8), table, (0.9, 1.0, 2.0), draws)
    assert set(gains.table.gains) == {1.0}
    assert gains.bound == pytest.approx(0, abs=1e-12)
    assert gains.sequences == 8 * LENGTH


def test_the_cost_that_chooses_gains_is_the_reverse_certificate(backbone: MarkovExact) -> None:
    table = StepTable(counts=(32, 30, 26, 15, 0))
    paths = 1500
    gains = choose_gains(model(backbone, batch=500), table, (1.0,), Draws(1, torch.arange(paths)))
    certificate = reverse(backbone, "euler", table, num_paths=paths, seed=2, batch=500)
    slack = 4 * 2**0.5 * certificate.standard_error
    assert abs(gains.bound - certificate.value_nats) < slack
    assert slack < 0.2 * certificate.value_nats


@pytest.mark.slow
def test_so_it_is_where_the_order_is_the_samplers_own(backbone: MarkovExact) -> None:
    table, paths = StepTable(counts=(32, 22, 13, 5, 0)), 3000
    own = model(backbone, batch=500, sampler="halton")
    gains = choose_gains(own, table, (1.0, 1.5), Draws(1, torch.arange(paths)))
    assert len(set(gains.table.gains)) == 2
    certificate = reverse(backbone, "halton", gains.table, num_paths=paths, seed=2, batch=500, stops=16)
    assert certificate.reference.startswith("the network revealing one token at a time in halton order")
    assert abs(gains.bound - certificate.value_nats) < 4 * 2**0.5 * certificate.standard_error
    assert 4 * certificate.standard_error < 0.3 * certificate.value_nats


@pytest.mark.slow
def test_in_halton_order_few_steps_are_exact_and_certified_so(
    backbone: MarkovExact, teacher: Trajectories
) -> None:
    """Six steps double a comb up to 32 tokens; given their neighbours the new ones are independent."""
    found = fit(problem(backbone, teacher, sampler="halton"), CONFIG)
    plain = fit(problem(backbone, teacher), CONFIG)
    tokens = generate(backbone, "halton", found.table, 1024, seed=7, batch=128).tokens
    assert float(error(tokens).mean()) < 0.002
    certificate = reverse(backbone, "halton", found.table, num_paths=600, seed=5, batch=200)
    assert certificate.value_nats < 0.2
    assert found.diagnostics["price_nats"] < plain.diagnostics["price_nats"] - 1
    assert found.diagnostics["price_nats"] >= found.diagnostics["teacher_nats"] - 1e-9


@pytest.mark.slow
def test_in_halton_order_an_inconsistent_network_is_priced_on_its_own_paths() -> None:
    """There a step costs what it loses against revealing one by one: never less, however inconsistent the network."""
    network = misfit_backbone(5, 3, 4, timed=True)
    teacher = first_hitting(network, Draws(1, torch.arange(10)))
    found = fit_all(
        problem(network, teacher, sampler="halton"), PathKLScheduleConfig(price_sequences=16_000), [1, 2, 4]
    )
    prices = [found[steps].diagnostics["price_nats"] for steps in (1, 2, 4)]
    assert prices[0] > prices[1] > prices[2]
    assert prices[2] == pytest.approx(found[4].diagnostics["teacher_nats"], abs=1e-9)
    assert found[1].sequences == 2 * 4 * 4000  # the paths are drawn, then priced


def test_noise_sharpens_nothing_where_the_mildest_is_taken() -> None:
    gen, candidates = torch.Generator().manual_seed(0), (0.5, 1.0, 2.0, 4.0)
    costs = torch.randn(200, 4, generator=gen, dtype=torch.float64)
    assert candidates[mildest_within_error(costs, candidates)] == 1.0
    costs[:, 2] -= 3.0  # and where sharpening pays for certain, it is done
    assert candidates[mildest_within_error(costs, candidates)] == 2.0
    costs[:, 3] = costs[:, 2]
    assert candidates[sharpest_within_error(costs, candidates)] == 4.0
    assert candidates[mildest_within_error(costs, candidates)] == 2.0


def test_prices_are_kept_apart_by_order(backbone: MarkovExact, teacher: Trajectories) -> None:
    kept = Kept()
    schedule = PathKLScheduleConfig(price_sequences=CONFIG.price_sequences)
    tables = {
        sampler: fit(problem(backbone, teacher, sampler=sampler, keep=kept), schedule).table
        for sampler in ("euler", "halton", "fixed_counts")
    }
    assert tables["euler"] == tables["fixed_counts"] != tables["halton"]
    assert tables["halton"] == fit(problem(backbone, teacher, sampler="halton"), schedule).table


def test_gains_lower_the_certificate_on_fresh_paths(backbone: MarkovExact, learned: Learned) -> None:
    with_gains, without = (
        reverse(backbone, "euler", table, num_paths=600, seed=5, batch=200)
        for table in (learned.table, learned.table.with_gains(1.0))
    )
    assert with_gains.value_nats < 0.75 * without.value_nats


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": LENGTH + 1}, "nfe must lie in 1 .. 32"),
        ({"sampler": "balanced_split"}, "sampler must look at the network once a step"),
        ({"sampler": "halton", "pooled": True}, "pooled must be false for halton"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    backbone: MarkovExact, teacher: Trajectories, changes: dict[str, object], message: str
) -> None:
    config = replace(CONFIG, pooled=bool(changes.pop("pooled", False)))
    with pytest.raises(InputError, match=message):
        fit(problem(backbone, teacher, **changes), config)


@pytest.mark.parametrize(
    "settings",
    [
        {"price_sequences": 0},
        {"gain_paths": 1},
        {"candidates": (2.0, 3.0)},
        {"candidates": (1.0, -1.0)},
        {"sharpness": 0.0},
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        PathKLConfig(**settings)  # type: ignore[arg-type]


def test_an_inconsistent_timed_network_is_no_obstacle() -> None:
    network = misfit_backbone(5, 3, 4, timed=True)
    paths = first_hitting(network, Draws(1, torch.arange(10)))
    learned = fit(problem(network, paths, num_steps=2, sampler="fixed_counts"), CONFIG)
    assert learned.table.counts is not None
    assert learned.table.counts[0] == 4
