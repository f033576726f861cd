"""Psi-samplers on a masked process: the mixture's formula, its limits, marginals, draws and calls."""

import pytest
import torch

from lsd_core.samplers.catalog import SAMPLERS, certifiable
from lsd_core.samplers.euler import Tweedie
from lsd_core.samplers.loop import generate
from lsd_core.samplers.psi import Psi
from lsd_core.samplers.remdm import ReMDM, alpha
from lsd_core.samplers.state import Draws, State, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import uniform_times
from tests.lsd_core.oracles import (
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
X = all_states(4, 3)


class Chosen(ReMDM):
    """ReMDM with a given sigma."""

    name = "chosen"

    def sigma(self, most: float) -> float:
        return self.eta


def test_the_kernel_is_the_mixture_of_posterior_and_fresh_noise() -> None:
    a_t, a_s = alpha(MISFIT, STEP.t), alpha(MISFIT, STEP.s)
    seen = seen_at(MISFIT, X, STEP)
    p = torch.nn.functional.pad(seen.features.softmax(-1), (0, 1))
    here = torch.nn.functional.one_hot(X, 4).double()
    masked = (X == 3)[..., None]
    clean = torch.where(masked, p, here)  # an unmasked token predicts itself
    mask = torch.tensor([0.0, 0.0, 0.0, 1.0]).double()
    stay = (1 - a_s) / (1 - a_t)
    posterior = torch.where(masked, (1 - stay) * p + stay * mask, here)
    expected = 0.7 * posterior + 0.3 * (a_s * clean + (1 - a_s) * mask)
    torch.testing.assert_close(Psi(0.7).kernel(seen, STEP).probs, expected, atol=1e-10, rtol=0)


def test_it_is_remdm_of_another_strength_and_ancestral_at_kappa_one() -> None:
    for kappa in (0.0, 0.4, 1.0):
        for step in (STEP, Step(2, 0.35, 0.0, 1.4, "log_score")):
            seen = seen_at(MISFIT, X, step)
            ours = Psi(kappa).kernel(seen, step).probs
            sigma = (1 - kappa) * (1 - alpha(MISFIT, step.s))
            state = State(X, torch.zeros(len(X), dtype=torch.long))
            theirs = Chosen(sigma).kernel(seen, step, state).probs
            torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0)
            if kappa == 1:
                plain = Tweedie().kernel(seen, step).probs
                torch.testing.assert_close(ours, plain, atol=1e-10, rtol=0)


def test_a_step_keeps_the_marginals_of_one_token() -> None:
    joint = joint_law(0, 3, 1, 1.0)
    backbone = exact_backbone(joint)
    a_t, a_s = alpha(backbone, STEP.t), alpha(backbone, STEP.s)
    kernel = Psi(0.3).kernel(seen_at(backbone, all_states(4, 1), STEP), STEP).probs[:, 0]
    at_t = torch.cat([a_t * joint, torch.tensor([1 - a_t], dtype=torch.float64)])
    at_s = torch.cat([a_s * joint, torch.tensor([1 - a_s], dtype=torch.float64)])
    torch.testing.assert_close(at_t @ kernel, at_s, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kappa", [0.0, 0.6])
def test_draws_follow_the_pushed_kernels(kappa: float) -> None:
    sampler, table, draws = Psi(kappa), uniform_times(5), Draws(5, torch.arange(20_000))
    state = start(MISFIT, draws)
    for step in steps_of(table, 3):
        state = sampler.step(MISFIT, state, step, draws)
    law = push(
        sampler,
        MISFIT,
        table,
        lambda method, backbone, x, step: product_law(method.kernel(seen_at(backbone, x, step), step).probs),
    )
    assert chi_square(state.x, law, 4) > 0.001


def test_calls_are_real_and_capped_and_given_tokens_stay() -> None:
    backbone = misfit_backbone(2, 3, 5, timed=True)
    backbone.sequences = 0
    samples = generate(backbone, "psi", uniform_times(6), 100, seed=0, batch=50)
    assert int(samples.tokens.max()) < 3
    assert int(samples.calls.max()) <= 6
    assert int(samples.calls.sum()) == backbone.sequences
    given = torch.tensor([3, 1, 3, 3, 0])
    fixed = generate(backbone, "psi", uniform_times(6), 50, seed=0, batch=50, given=given).tokens
    assert bool(((fixed == given) | (given == 3)).all())
    assert not certifiable(SAMPLERS["psi"])
