"""ReMDM: its kernel is the formula, sigma 0 is ancestral, marginals stay, draws and calls are what they say."""

from dataclasses import replace

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.catalog import SAMPLERS, certifiable
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.loop import generate
from lsd_core.samplers.remdm import ReMDM, ReMDMCap, ReMDMConfidence, ReMDMLoop, ReMDMRescale, alpha
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import uniform_times
from tests.lsd_core.oracles import (
    TableBackbone,
    all_states,
    chi_square,
    exact_backbone,
    joint_law,
    misfit_backbone,
    product_law,
    push,
    seen_at,
)

MISFIT = misfit_backbone(1, 3, 3)
STEP = Step(1, 0.6, 0.35, 1.0, "log_score")
NAMES = ["remdm_cap", "remdm_rescale", "remdm_confidence", "remdm_loop"]


def state_of(x: torch.Tensor) -> State:
    return State(x, torch.zeros(len(x), dtype=torch.long))


@pytest.mark.parametrize(("sampler", "share"), [(ReMDMCap(0.3), None), (ReMDMRescale(0.5), 0.5)])
def test_the_kernel_is_the_formula(sampler: ReMDM, share: float | None) -> None:
    x = all_states(4, 3)
    a_t, a_s = alpha(MISFIT, 0.6), alpha(MISFIT, 0.35)
    most = min(1.0, (1 - a_s) / a_t)
    sigma = min(0.3, most) if share is None else share * most
    seen = seen_at(MISFIT, x, STEP)
    probs = sampler.kernel(seen, STEP, state_of(x)).probs
    chance = (a_s - (1 - sigma) * a_t) / (1 - a_t)
    masked = x == 3
    p = seen.features.softmax(-1)
    torch.testing.assert_close(probs[masked][:, :3], chance * p[masked], atol=1e-10, rtol=0)
    torch.testing.assert_close(
        probs[masked][:, 3],
        torch.full((int(masked.sum()),), 1 - chance, dtype=torch.float64),
        atol=1e-10,
        rtol=0,
    )
    assert probs[~masked][:, 3].tolist() == pytest.approx([sigma] * int((~masked).sum()))
    torch.testing.assert_close(probs.sum(-1), torch.ones(64, 3, dtype=torch.float64))


@pytest.mark.parametrize("kind", [ReMDMCap, ReMDMRescale, ReMDMConfidence])
def test_without_remasking_it_is_ancestral(kind: type[ReMDM]) -> None:
    x = all_states(4, 3)
    for step in (STEP, Step(2, 0.35, 0.0, 1.0, "log_score"), replace(STEP, gain=1.4)):
        seen = seen_at(MISFIT, x, step)
        ours = kind(0.0).kernel(seen, step, state_of(x)).probs
        torch.testing.assert_close(ours, Tweedie().kernel(seen, step).probs, atol=1e-10, rtol=0)


def test_a_step_keeps_the_marginals_of_one_token() -> None:
    """From the forward marginal at t a step leads to that at s, whatever sigma is."""
    joint = joint_law(0, 3, 1, 1.0)
    backbone = exact_backbone(joint)
    x = all_states(4, 1)
    for sampler in (ReMDMCap(0.3), ReMDMRescale(1.0)):
        a_t, a_s = alpha(backbone, 0.6), alpha(backbone, 0.35)
        kernel = sampler.kernel(seen_at(backbone, x, STEP), STEP, state_of(x)).probs[:, 0]
        at_t = torch.cat([a_t * joint, torch.tensor([1 - a_t], dtype=torch.float64)])
        at_s = torch.cat([a_s * joint, torch.tensor([1 - a_s], dtype=torch.float64)])
        torch.testing.assert_close(at_t @ kernel, at_s, atol=1e-10, rtol=0)


def matrix(sampler: ReMDM, backbone: TableBackbone, x: torch.Tensor, step: Step) -> torch.Tensor:
    step = (
        replace(step, t=sampler.time(step.t), s=sampler.time(step.s))
        if isinstance(sampler, ReMDMLoop)
        else step
    )
    return product_law(sampler.kernel(seen_at(backbone, x, step), step, state_of(x)).probs)


@pytest.mark.parametrize("name", ["remdm_cap", "remdm_rescale", "remdm_loop"])
def test_draws_follow_the_pushed_kernels(name: str) -> None:
    sampler, table = replace(SAMPLERS[name], eta=0.4), uniform_times(8)  # type: ignore[type-var]
    draws = Draws(5, torch.arange(20_000))
    state = start(MISFIT, draws)
    for step in steps_of(table, 3):
        state = sampler.step(MISFIT, state, step, draws)  # type: ignore[attr-defined]
    assert chi_square(state.x, push(sampler, MISFIT, table, matrix), 4) > 0.001


def test_a_plain_implementation_draws_the_same_tokens() -> None:
    """Chains of the cap variant, position by position."""
    backbone, table, seed = misfit_backbone(5, 3, 4), uniform_times(6), 9
    sampler, draws = ReMDMCap(0.3), Draws(seed, torch.arange(40))
    state = start(backbone, draws)
    for step in steps_of(table, 4):
        state = sampler.step(backbone, state, step, draws)
    again = 0
    for chain in range(40):
        x = [3] * 4
        for step in steps_of(table, 4):
            p = backbone.features(torch.tensor([x]), torch.tensor([step.t]).double())[0].softmax(-1)
            kinds = (Purpose.REVEAL, Purpose.TOKEN, Purpose.MASK)
            reveal, token, mask = (
                uniforms(seed, torch.tensor([chain]), step.index, torch.arange(4), kind) for kind in kinds
            )
            a_t, a_s = alpha(backbone, step.t), alpha(backbone, step.s)
            sigma = min(0.3, (1 - a_s) / a_t)
            chance = (a_s - (1 - sigma) * a_t) / (1 - a_t)
            drawn = draw_categorical(p, token)
            before = list(x)
            for i in range(4):
                if before[i] == 3 and (step.last or float(reveal[i]) < chance):
                    x[i] = int(drawn[i])
                elif before[i] != 3 and float(mask[i]) < sigma:
                    x[i], again = 3, again + 1
        assert state.x[chain].tolist() == x
    assert again > 10


def test_the_least_certain_tokens_are_masked_again_first() -> None:
    x = torch.tensor([[0, 1, 3]])
    state = replace(state_of(x), memory=torch.tensor([[0.9, 0.2, torch.inf]]).double())
    chance = ReMDMConfidence(0.3).remask(0.3, state)
    assert isinstance(chance, torch.Tensor)
    assert float(chance.sum()) == pytest.approx(0.3)
    assert float(chance[0, 1]) > float(chance[0, 0]) > float(chance[0, 2]) == 0.0


def test_the_loop_goes_down_stays_and_goes_to_the_end() -> None:
    loop = ReMDMLoop()
    times = [loop.time(t) for t in (1.0, 0.45, 0.3, 0.05, 0.025, 0.0)]
    assert times == pytest.approx([1.0, 0.1, 0.1, 0.1, 0.05, 0.0])


@pytest.mark.parametrize("name", NAMES)
def test_calls_are_real_and_capped_and_given_tokens_stay(name: str) -> None:
    backbone = misfit_backbone(2, 3, 5, timed=True)
    backbone.sequences = 0
    samples = generate(backbone, name, uniform_times(6), 100, seed=0, batch=50)
    assert int(samples.tokens.max()) < 3
    assert int(samples.calls.max()) <= 6
    assert int(samples.calls.sum()) == backbone.sequences
    given = torch.tensor([3, 1, 3, 3, 0])
    fixed = generate(backbone, name, uniform_times(6), 50, seed=0, batch=50, given=given).tokens
    assert bool(((fixed == given) | (given == 3)).all())
    assert not certifiable(SAMPLERS[name])


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(InputError, match=r"eta must lie in \[0, 1\]"):
        ReMDMCap(1.5)
    with pytest.raises(InputError, match="1 > on > off > 0"):
        ReMDMLoop(on=0.1, off=0.2)
