"""EDS and WDS against enumerated entropies: what is costed, where the steps fall, their limits, what it takes."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
import torch
from torch import Tensor

from lsd_core.distillation.entropic import EntropyScheduleConfig
from lsd_core.distillation.equal_steps import equal_steps_in_counts, equal_steps_in_times
from lsd_core.distillation.learned import Kept, Problem
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.paths.entropies import reported_entropies
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import Absorbing
from lsd_core.processes.noise import Geometric
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, counts_from_times, uniform_times
from lsd_core.trajectories.replay import timed
from lsd_core.trajectories.types import Trajectories
from tests.lsd_core.distillation.chains import exact_paths, problem
from tests.lsd_core.oracles import TableBackbone, exact_backbone
from tests.lsd_core.samplers.test_order import markov_law

LENGTH = 5
JOINT = markov_law(3, LENGTH)
PATHS = 1500
CONFIG = EntropyScheduleConfig(price_sequences=PATHS * LENGTH)
RATES: dict[str, Callable[[Tensor], Tensor]] = {"eds": lambda h: h, "wds": torch.sqrt}


@pytest.fixture(scope="module")
def backbone() -> TableBackbone:
    return exact_backbone(JOINT)


@pytest.fixture(scope="module")
def paths(backbone: TableBackbone) -> Trajectories:
    return exact_paths(backbone, PATHS)


@pytest.fixture(scope="module")
def kept() -> Kept:
    """Entropies of this backbone on these paths: computed once for the tests that need no pass of their own."""
    return Kept()


def learn(name: str, given: Problem, kept: Kept) -> StepTable:
    return METHODS[name].fit(replace(given, keep=kept, batch=500), CONFIG).table


@cache
def entropy_of(where: tuple[int, ...]) -> float:
    """Entropy of the tokens at these positions, by summing the joint distribution over all others."""
    others = [i for i in range(LENGTH) if i not in where]
    marginal = JOINT.sum(others) if others else JOINT
    return float(torch.special.entr(marginal).sum())


def enumerated(order: str) -> Tensor:
    """H_l .. H_1 along uniform order, the mean over all sets that may be unmasked, or from left to right."""
    found = []
    for unmasked in range(LENGTH):
        first = [tuple(range(unmasked))]
        terms = [
            entropy_of((*known, i)) - entropy_of(known)
            for known in (combinations(range(LENGTH), unmasked) if order == "uniform" else first)
            for i in (set(range(LENGTH)) - set(known) if order == "uniform" else {unmasked})
        ]
        found.append(sum(terms) / len(terms))
    return torch.tensor(found, dtype=torch.float64)


def conditional_entropy(t: float) -> float:
    """H(x_0 | x_t) where each token is masked with chance t, summed over what may be masked."""
    whole, total = entropy_of(tuple(range(LENGTH))), 0.0
    for size in range(LENGTH + 1):
        for known in combinations(range(LENGTH), size):
            total += t ** (LENGTH - size) * (1 - t) ** size * (whole - entropy_of(known))
    return total


@pytest.mark.parametrize(("sampler", "order"), [("euler", "uniform"), ("left_to_right", "left to right")])
def test_reported_entropies_are_the_enumerated_ones(
    backbone: TableBackbone, paths: Trajectories, sampler: str, order: str
) -> None:
    model = MaskedModel(backbone=backbone, method=named(sampler, backbone), batch=500)
    draws = Draws(4, torch.arange(PATHS))
    own = timed(paths, 0) if order == "uniform" else model.one_at_a_time(draws)[0]
    found, truth = reported_entropies(model, own), enumerated(order)
    error = found.nats.std(0) / PATHS**0.5
    assert bool(((found.mean - truth).abs() <= 4 * error + 1e-9).all())
    assert float(error.max()) < 0.02
    assert float(truth[0] - truth[-1]) > 0.1
    assert float(truth.sum()) == pytest.approx(entropy_of(tuple(range(LENGTH))))  # the chain rule


@pytest.mark.parametrize("name", ["eds", "wds"])
@pytest.mark.parametrize("sampler", ["euler", "left_to_right"])
def test_counts_are_equal_steps_of_the_enumerated_curve(
    backbone: TableBackbone, paths: Trajectories, kept: Kept, name: str, sampler: str
) -> None:
    """The inverse of the curve, linear between counts, found here by walking along it."""
    rates = RATES[name](enumerated("uniform" if sampler == "euler" else sampler)).tolist()
    for steps in (2, 3, 4):
        counts = [LENGTH]
        for k in range(1, steps):
            left, unmasked = k * sum(rates) / steps, 0.0
            for rate in rates:
                part = min(1.0, left / rate)
                left, unmasked = left - part * rate, unmasked + part
            counts.append(round(LENGTH - unmasked))
        given = problem(backbone, paths, steps, sampler=sampler)
        assert learn(name, given, kept) == StepTable(counts=(*counts, 0))


@pytest.mark.parametrize("name", ["eds", "wds"])
def test_where_little_is_uncertain_steps_are_long(name: str) -> None:
    entropy = torch.tensor([2.0] * 8 + [0.02] * 56, dtype=torch.float64)
    by_hand = {"eds": (64, 62, 60, 58, 0), "wds": (64, 61, 57, 34, 0)}
    assert equal_steps_in_counts(entropy, RATES[name], 4).counts == by_hand[name]


def test_times_are_equal_steps_of_the_conditional_entropy_given_the_state(
    backbone: TableBackbone, paths: Trajectories, kept: Kept
) -> None:
    table = learn("eds", problem(backbone, paths, 5, sampler="tau_leaping"), kept)
    assert table.times is not None
    total = conditional_entropy(1.0)
    shares = [conditional_entropy(t) / total for t in table.times]
    assert shares == pytest.approx([1 - k / 5 for k in range(6)], abs=3e-3)
    assert max(abs(t - (1 - k / 5)) for k, t in enumerate(table.times)) > 0.01
    exact = equal_steps_in_times(enumerated("uniform"), RATES["eds"], 5, backbone.process).times or ()
    assert [conditional_entropy(t) / total for t in exact] == pytest.approx(
        [1 - k / 5 for k in range(6)], abs=1e-6
    )


def test_over_times_wds_accumulates_the_square_root_of_what_the_entropy_grows_by() -> None:
    table = equal_steps_in_times(enumerated("uniform"), RATES["wds"], 3, Absorbing(3))
    fine = torch.linspace(0, 1, 4001).tolist()
    speed = (
        torch.tensor([conditional_entropy(t) for t in fine], dtype=torch.float64).diff().clamp(min=0).sqrt()
    )
    reached = torch.cat([torch.zeros(1, dtype=torch.float64), speed.cumsum(0)]) / speed.sum()
    found = [float(reached[round(4000 * t)]) for t in table.times or ()]
    assert found == pytest.approx([1.0, 2 / 3, 1 / 3, 0.0], abs=1e-3)


def test_over_times_two_tokens_that_tell_each_other_have_a_closed_form() -> None:
    """H_2 = 1 and H_1 = 0, so H(m) = m: its integral is m^2 / 2, and that of its root m^1.5 / 1.5."""
    entropy = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for name, power in (("eds", 1 / 2), ("wds", 2 / 3)):
        times = equal_steps_in_times(entropy, RATES[name], 4, Absorbing(3)).times
        assert times == pytest.approx([(1 - k / 4) ** power for k in range(5)], abs=1e-6)


def test_under_another_noise_the_same_shares_are_masked() -> None:
    process = Absorbing(3, Geometric(1e-3, 8.0))
    log_linear, geometric = (
        equal_steps_in_times(enumerated("uniform"), RATES["eds"], 4, each) for each in (Absorbing(3), process)
    )
    assert log_linear.times is not None
    assert geometric.times is not None
    one, *inner = torch.tensor(geometric.times[:-1], dtype=torch.float64)
    masked = [1 - float(process.reveal_chance(one, t)) for t in inner]
    assert masked == pytest.approx(list(log_linear.times[1:-1]), abs=1e-9)


@pytest.mark.parametrize("name", ["eds", "wds"])
def test_one_token_a_step_one_step_and_equal_counts_are_limits(
    backbone: TableBackbone, paths: Trajectories, kept: Kept, name: str
) -> None:
    every = learn(name, problem(backbone, paths, LENGTH), kept)
    assert every == StepTable(counts=tuple(range(LENGTH, -1, -1)))
    assert learn(name, problem(backbone, paths, 1), kept) == StepTable(counts=(LENGTH, 0))
    apart = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    law = torch.stack([apart] * LENGTH)
    independent = exact_backbone(torch.einsum("a,b,c,d,e->abcde", *law))
    few, method = EntropyScheduleConfig(price_sequences=8), METHODS[name]
    eight = exact_paths(independent, 8)
    for steps in (2, 3):
        for sampler in ("euler", "left_to_right"):
            found = method.fit(problem(independent, eight, steps, sampler=sampler), few).table
            assert found == counts_from_times(uniform_times(steps), LENGTH)
        found = method.fit(problem(independent, eight, steps, sampler="tau_leaping"), few).table
        assert found.times == pytest.approx(uniform_times(steps).times, abs=1e-9)
    nothing = equal_steps_in_counts(torch.zeros(8, dtype=torch.float64), RATES[name], 4)
    assert nothing == counts_from_times(uniform_times(4), 8)


def test_calls_are_counted_and_one_pass_serves_both_and_every_number_of_steps(
    backbone: TableBackbone, paths: Trajectories
) -> None:
    kept, config = Kept(), EntropyScheduleConfig(price_sequences=20 * LENGTH)
    for sampler, each in (("euler", LENGTH), ("halton", 2 * LENGTH)):
        backbone.sequences = 0
        found = [
            METHODS[name].fit(problem(backbone, paths, steps, sampler=sampler, keep=kept), config)
            for name, steps in (("eds", 2), ("eds", 4), ("wds", 4))
        ]
        assert {learned.diagnostics["price_sequences"] for learned in found} == {20 * each}
        assert {learned.sequences for learned in found} == {backbone.sequences} == {20 * each}
        path_kl = METHODS["path_kl_schedule"]
        costed = path_kl.fit(
            problem(backbone, paths, 2, sampler=sampler), path_kl.config({"price_sequences": 20 * LENGTH})
        )
        assert costed.sequences == 20 * each


def test_they_are_controls_for_every_order_that_does_not_look_at_tokens(
    backbone: TableBackbone, paths: Trajectories
) -> None:
    process, few = backbone.process, EntropyScheduleConfig(price_sequences=8)
    for name in ("eds", "wds"):
        method = METHODS[name]
        assert method.kind == "control"
        assert method.needs_paths
        served = (
            "euler",
            "fixed_counts",
            "halton",
            "learned_order",
            "dilated",
            "balanced_split",
            "remdm_cap",
        )
        assert all(method.serves(sampler, process, {}) for sampler in served)
        assert not method.serves("confidence", process, {})
        given = problem(backbone, paths, 2, sampler="entropy_bound")
        with pytest.raises(InputError, match="sampler must unmask in an order that does not depend"):
            method.fit(given, few)
        with pytest.raises(InputError, match=r"nfe must lie in 1 \.\. 5"):
            method.fit(problem(backbone, paths, LENGTH + 1), few)
    for sampler in ("learned_order", "remdm_cap", "balanced_split"):
        given = problem(backbone, paths, 3, sampler=sampler)
        table = METHODS["eds"].fit(given, few).table
        assert set(table.gains) == {1.0}
        assert int(generate(backbone, sampler, table, 16, 0).tokens.max()) < 3
    with pytest.raises(InputError, match="price_sequences must be >= 1"):
        EntropyScheduleConfig(price_sequences=0)
