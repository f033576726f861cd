"""Gibbs-corrected unmasking: its distribution over paths by enumeration, limits, invariance, draws and calls."""

from collections import defaultdict
from itertools import combinations, product
from math import exp, log

import pytest
import torch

from lsd_core.samplers.catalog import SAMPLERS, certifiable, num_steps
from lsd_core.samplers.euler import Tweedie, exact_chance
from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.gibbs import Gibbs, noted
from lsd_core.samplers.least_confident import sizes
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    chi_square,
    exact_backbone,
    features_at,
    joint_law,
    misfit_backbone,
    seen_at,
    transition,
)
from tests.lsd_core.samplers.choices import chances_of_sets

V, LENGTH, MASK = 2, 3, 2
MISFIT = misfit_backbone(3, V, LENGTH, timed=True)
TIMES = StepTable(times=(1.0, 0.45, 0.0), gains=(1.3, 0.8))
COUNTS = StepTable(counts=(3, 1, 0), gains=(1.3, 0.8))
Path = tuple[tuple[int, ...], tuple[float, ...]]  # tokens, and the log-margin of each when it was drawn
Law = dict[Path, float]
BEGIN: Law = {((MASK,) * LENGTH, (0.0,) * LENGTH): 1.0}


def predicted(x: tuple[int, ...], t: float, gain: float) -> list[list[float]]:
    weights = (gain * features_at(MISFIT, torch.tensor([x]), t)[0]).exp()
    return (weights / weights.sum(-1, keepdim=True)).tolist()


def margin(p: list[float], token: int) -> float:
    return log(p[token]) - max(log(chance) for other, chance in enumerate(p) if other != token)


def unmasked(path: Path, chosen: tuple[int, ...], p: list[list[float]]) -> Law:
    """All tokens that these positions may get, and their chances."""
    found: Law = {}
    for tokens in product(range(V), repeat=len(chosen)):
        x, memory, chance = list(path[0]), list(path[1]), 1.0
        for i, token in zip(chosen, tokens, strict=True):
            x[i], memory[i] = token, margin(p[i], token)
            chance *= p[i][token]
        found[(tuple(x), tuple(memory))] = chance
    return found


def by_definition(method: Gibbs, table: StepTable) -> Law:
    """Paths of a plain loop: an ancestral step, then a share of the tokens masked and drawn again together."""
    law = BEGIN
    for step in steps_of(table, LENGTH):
        after: Law = defaultdict(float)
        for path, weight in law.items():
            masked = [i for i in range(LENGTH) if path[0][i] == MASK]
            if not masked:
                after[path] += weight
                continue
            p = predicted(path[0], step.t, step.gain)
            for size in range(len(masked) + 1):
                for chosen in combinations(masked, size):
                    chance = chance_of(chosen, len(masked), step)
                    if chance > 0:
                        for between, other in unmasked(path, chosen, p).items():
                            for end, last in correction(method, between, step).items():
                                after[end] += weight * chance * other * last
        law = after
    return law


def chance_of(chosen: tuple[int, ...], masked: int, step: Step) -> float:
    """Of a set of positions to be unmasked by the ancestral step."""
    if step.counts is None:
        each = exact_chance(MISFIT, step)
        return each ** len(chosen) * (1 - each) ** (masked - len(chosen))
    alike = len(list(combinations(range(masked), len(chosen))))
    return float(len(chosen) == step.counts[0] - step.counts[1]) / alike


def correction(method: Gibbs, path: Path, step: Step) -> Law:
    drawn = [i for i in range(LENGTH) if path[0][i] != MASK]
    if not drawn:
        return {path: 1.0}
    size = max(1, round(method.share * len(drawn)))
    weights = torch.tensor(
        [exp(-path[1][i] / method.temperature) if i in drawn else 0.0 for i in range(LENGTH)],
        dtype=torch.float64,
    )
    law: Law = defaultdict(float)
    for chosen, chance in chances_of_sets(weights, size).items():
        x = tuple(MASK if i in chosen else token for i, token in enumerate(path[0]))
        number = x.count(MASK)
        p = predicted(x, 1.0 if number == LENGTH else number / (LENGTH + 1), step.gain)
        for end, other in unmasked((x, path[1]), chosen, p).items():
            law[end] += chance * other
    return law


def by_the_method(method: Gibbs, table: StepTable) -> Law:
    """The same paths from the method's own kernels, weights and memory."""
    states = all_states(V + 1, LENGTH)
    law = BEGIN
    for step in steps_of(table, LENGTH):
        after: Law = defaultdict(float)
        for (x, memory), weight in law.items():
            state = state_of(x, memory)
            seen = seen_at(MISFIT, state.x, step)
            to = transition(Tweedie().kernel(seen, step))[0]
            for onto in to.nonzero()[:, 0].tolist():
                remembered = noted(seen, state, states[onto : onto + 1])
                between = state_of(states[onto].tolist(), remembered[0].tolist())
                unfinished = bool((state.x == MASK).any())
                for end, last in corrected(method, between, step, unfinished).items():
                    after[end] += weight * float(to[onto]) * last
        law = after
    return law


def state_of(x, memory) -> State:
    zero = torch.zeros(1, dtype=torch.long)
    return State(torch.tensor([x]), zero, memory=torch.tensor([memory], dtype=torch.float64))


def corrected(method: Gibbs, state: State, step: Step, unfinished: bool) -> Law:
    assert state.memory is not None
    candidates = method.candidates(state, MASK) & unfinished
    size = int(sizes(method.share, candidates))
    if size == 0:
        return {(tuple(state.x[0].tolist()), tuple(state.memory[0].tolist())): 1.0}
    states, law = all_states(V + 1, LENGTH), Law()
    weights = method.log_weights(state.memory, candidates)[0].exp()
    for positions, chance in chances_of_sets(weights, size).items():
        chosen = torch.zeros(1, LENGTH, dtype=torch.bool)
        chosen[0, list(positions)] = True
        x = torch.where(chosen, MASK, state.x)
        number = int((x == MASK).sum())
        t = 1.0 if number == LENGTH else number / (LENGTH + 1)
        seen = seen_at(MISFIT, x, step, t)
        kernel = method.redraw(seen, chosen)
        assert torch.equal(kernel.choose(Draws(0, torch.arange(1)), 0), chosen[seen.rows])
        to = torch.zeros(len(states), dtype=torch.float64)
        keys = kernel.probs  # of chosen positions the token's distribution, of all others what is there
        for number_of, onto in enumerate(states):
            to[number_of] = keys[0].gather(-1, onto[:, None]).prod()
        for onto in to.nonzero()[:, 0].tolist():
            end = states[onto : onto + 1]
            remembered = noted(seen, State(x, state.calls, memory=state.memory), end)
            path = (tuple(end[0].tolist()), tuple(remembered[0].tolist()))
            law[path] = law.get(path, 0.0) + chance * float(to[onto])
    return law


def output(law: Law) -> torch.Tensor:
    out = torch.zeros((V + 1,) * LENGTH, dtype=torch.float64)
    for (x, _), chance in law.items():
        out[x] += chance
    return out.flatten()


@pytest.mark.parametrize("table", [TIMES, COUNTS], ids=["times", "counts"])
@pytest.mark.parametrize("method", [Gibbs(), Gibbs(0.6, 0.5)], ids=["one", "several"])
@pytest.mark.slow
def test_its_distribution_is_that_of_its_definition(method: Gibbs, table: StepTable) -> None:
    expected = output(by_definition(method, table))
    assert float(expected.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(output(by_the_method(method, table)), expected, atol=1e-10, rtol=0)
    draws = Draws(5, torch.arange(20_000))
    state = start(MISFIT, draws)
    for step in steps_of(table, LENGTH):
        state = method.step(MISFIT, state, step, draws)
    assert chi_square(state.x, expected, V + 1) > 0.001
    plain = output(by_definition(Gibbs(method.share, 1e9), table))
    assert float((expected - plain).abs().max()) > 1e-4  # the choice matters


@pytest.mark.parametrize(("table", "plain"), [(TIMES, Tweedie()), (COUNTS, FixedCounts())])
def test_with_the_corrector_off_it_draws_what_the_ancestral_sampler_draws(table: StepTable, plain) -> None:
    draws, off = Draws(2, torch.arange(300)), Gibbs(0.0)
    ours = theirs = start(MISFIT, draws)
    for step in steps_of(table, LENGTH):
        ours, theirs = (
            each.step(MISFIT, state, step, draws) for each, state in ((off, ours), (plain, theirs))
        )
    assert torch.equal(ours.x, theirs.x)
    assert torch.equal(ours.calls, theirs.calls)


def test_one_random_token_drawn_again_leaves_a_consistent_networks_distribution_alone() -> None:
    joint = joint_law(1, 3, 3, 1.5)
    backbone, tokens = exact_backbone(joint), all_states(3, 3)
    matrix = torch.zeros(27, 27, dtype=torch.float64)
    for i in range(3):
        chosen = torch.zeros(27, 3, dtype=torch.bool)
        chosen[:, i] = True
        x = torch.where(chosen, 3, tokens)
        kernel = Gibbs().redraw(seen_at(backbone, x, Step(0, 0.5, 0.0, 1.0, "log_score")), chosen)
        each = kernel.probs[..., :3]
        matrix += torch.einsum("na,nb,nc->nabc", *each.unbind(1)).flatten(1) / 3
    torch.testing.assert_close(joint.flatten() @ matrix, joint.flatten(), atol=1e-10, rtol=0)
    wrong = torch.full((27,), 1 / 27, dtype=torch.float64)
    assert float((wrong @ matrix - joint.flatten()).abs().sum()) < 0.95 * float(
        (wrong - joint.flatten()).abs().sum()
    )


def test_the_budget_is_split_between_predicting_and_correcting() -> None:
    backbone: TableBackbone = misfit_backbone(2, 3, 5, timed=True)
    for nfe in (2, 5, 8):
        steps = num_steps("gibbs", nfe, backbone.process)
        assert steps == nfe // 2
        for table in (uniform_times(steps), StepTable(counts=(*range(5, 5 - steps, -1), 0))):
            backbone.sequences = 0
            samples = generate(backbone, "gibbs", table, 60, seed=0, batch=30)
            assert int(samples.tokens.max()) < 3
            assert int(samples.calls.sum()) == backbone.sequences
            assert int(samples.calls.max()) <= nfe
            if table.counts is not None:
                assert samples.calls.unique().tolist() == [2 * steps]
    given = torch.tensor([3, 1, 3, 3, 0])
    fixed = generate(backbone, "gibbs", uniform_times(3), 50, seed=0, batch=50, given=given).tokens
    assert bool(((fixed == given) | (given == 3)).all())
    assert not certifiable(SAMPLERS["gibbs"])
