"""Reverse certificates for full-state processes: each is one estimate along the sampler's own paths.

With q the sampler, p the network's reverse chain from the prior down to a time delta, both denoised alike:

- `reverse_leaping` (last jump wins): KL(q_out || p_out) <= E_q int_delta^1 sum_{i,y} [R_q log(R_q / R_p) - R_q +
  R_p] du, R_q the step's frozen rates, R_p the network's where the path is; it vanishes as steps shrink.
- `reverse_kernels` (any kernels): KL(q_out || p_out) <= E_q [log prior(x_1) + sum_k (log q_k - log f) +
  NLL(x_delta)], f the exact forward kernel, NLL the evidence bound by the forward chain from x_delta; an inexact
  network leaves a floor. Where the forward chain does not reach the prior (absorbing) it is infinite.
- `reverse_bridges` (Tweedie steps of networks that predict the clean token): a step carries each token along
  exact bridges to its clean token's distribution, so it is a jump process whose rates R_q are known at every
  time, the last step down to clean data included: the first integral down to delta = 2^-10, plus
  E_q KL(last bridge || denoise).

Paths come in groups, each stopped at a random time of its own stratum: time integrals at a small variance.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.scores import ScoreBackbone, X0Backbone
from lsd_core.certificates.base import Certificate
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.jump_terms import (
    bridge_term,
    bridges_term,
    denoise_term,
    frozen_term,
    kernel_term,
    prior_term,
)
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import Gaussian
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.full import growth_between, predict
from lsd_core.samplers.full_kernels import last_jump_kernel
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.recording import STOP
from lsd_core.samplers.state import Draws, draw_prior
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

REFERENCE = "the network's exact reverse chain, denoised as the sampler is"
STOPPED_REFERENCE = "the network's exact reverse chain, denoised at t = 2^-10"
FORWARD = 1 << 20  # calls of draws of the forward chain: apart from those of the steps
NUM_TIMES = 8  # strata of the time integrals
REPEATS = 8  # independent repeats of all strata, for the standard error

Values = tuple[Float[Tensor, " b"], int]  # a value for each path of a group, and the sequences it cost


@torch.inference_mode()
def reverse_any(
    backbone: ScoreBackbone, sampler: str, table: StepTable, *, num_paths: int, seed: int
) -> Certificate:
    """The smaller of the forms that hold for the sampler. Cost: up to M + 2 calls a path for each.

    Tweedie steps of a network that predicts the clean token have a form of their own (`reverse_bridges`), to a
    reference that is denoised at the very end.
    """
    method = named(sampler, backbone)
    if method.name == "tweedie" and isinstance(backbone, X0Backbone) and table.times is not None:
        return reverse_bridges(backbone, table, num_paths, seed)
    if table.times is None or table.num_steps < 2:
        raise InputError("table", "hold times with a step before the final denoise", list(table.grid))
    forms = [reverse_kernels(backbone, method, table, num_paths, seed)]
    if method.name == "tau_leaping" and not isinstance(backbone.process, Gaussian):
        forms.append(reverse_leaping(backbone, table, num_paths, seed))
    smaller = min(forms, key=lambda form: form.value_nats)
    return replace(smaller, sequences=sum(form.sequences for form in forms))


def reverse_leaping(backbone: ScoreBackbone, table: StepTable, num_paths: int, seed: int) -> Certificate:
    """The form for leaps in which the last jump wins, by paths stopped at random times."""
    steps, delta = _steps_before_denoise(backbone, table)

    def values(draws: Draws, t: float) -> Values:
        x, sequences = draw_prior(backbone.process, draws, backbone.length), 0
        for step in steps:
            rates = predict(backbone, x, step.t, step).rates()
            sequences += len(x)
            if t >= step.s:
                break
            x = last_jump_kernel(rates, x, step.t - step.s).draw(draws, step.index)
        here = last_jump_kernel(rates, x, step.t - t).draw(draws, step.index)
        return (1 - delta) * frozen_term(backbone, x, here, step, t), sequences + 2 * len(x)

    return _estimate("reverse_leaping", REFERENCE, values, num_paths, seed, delta)


def reverse_kernels(
    backbone: ScoreBackbone, method: OneCall, table: StepTable, num_paths: int, seed: int
) -> Certificate:
    """The form for any kernels, by whole paths and one time of the evidence bound for each."""
    process = backbone.process
    steps, delta = _steps_before_denoise(backbone, table)
    prior = process.prior_probs().double().log()

    def values(draws: Draws, t: float) -> Values:
        x = draw_prior(process, draws, backbone.length)
        value = prior.to(x.device)[x].sum(1)
        for step in steps:
            kernel = method.kernel(predict(backbone, x, step.t, step), step)
            after = kernel.draw(draws, step.index)
            value = value + kernel_term(process, kernel, x, after, step)
            x = after
        forward = process.transition(growth_between(process, t, delta)).to(x.device)[x]
        uniform = uniforms(
            draws.seed, draws.trajectory[:, None], FORWARD, torch.arange(backbone.length), Purpose.TOKEN
        )
        here = draw_categorical(forward.flatten(0, 1), uniform.flatten()).view(x.shape)
        value = value + prior_term(process, x, delta)
        value = value + (1 - delta) * bridge_term(backbone, x, here, delta, t)
        return value, (len(steps) + 1) * len(x)

    return _estimate("reverse_kernels", REFERENCE, values, num_paths, seed, delta)


@torch.inference_mode()
def reverse_bridges(backbone: ScoreBackbone, table: StepTable, num_paths: int, seed: int) -> Certificate:
    """The form for Tweedie steps, by whole paths stopped at one time each. Cost: M + 2 calls a path.

    For networks that predict the clean token: from scores alone a Tweedie kernel may have to be clamped, and is
    then no bridge.
    """

    def values(draws: Draws, u: float) -> Values:
        x = draw_prior(backbone.process, draws, backbone.length)
        for step in steps_of(table, backbone.length):
            seen = predict(backbone, x, step.t, step)
            if step.t >= u > step.s:
                here = seen.tweedie(u).draw(draws, 3 * step.index + 1)
                value = (1 - STOP) * bridges_term(backbone, seen, here, u)
            x = seen.tweedie(STOP if step.last else step.s).draw(draws, 3 * step.index)
        return value + denoise_term(backbone, seen, x, STOP), (table.num_steps + 2) * len(x)

    return _estimate("reverse_bridges", STOPPED_REFERENCE, values, num_paths, seed, STOP)


def _estimate(
    kind: str,
    reference: str,
    values: Callable[[Draws, float], Values],
    num_paths: int,
    seed: int,
    delta: float,
) -> Certificate:
    """Mean of a group's values over strata of time in [delta, 1], its standard error from repeats of all strata."""
    size = -(-num_paths // (NUM_TIMES * REPEATS))
    parts, sequences, zero = [], 0, torch.zeros(1, dtype=torch.long)
    for group in range(NUM_TIMES * REPEATS):
        draws = Draws(seed, torch.arange(group * size, (group + 1) * size))
        jitter = float(uniforms(draws.seed, draws.trajectory[:1], 0, zero, Purpose.TIME))
        time = delta + (1 - delta) * (group % NUM_TIMES + jitter) / NUM_TIMES
        found, cost = values(draws, time)
        parts.append(found)
        sequences += cost
    all_values = torch.cat(parts)
    repeats = all_values.view(REPEATS, -1).mean(1)
    bounds = "KL(sampler || reference)"
    return Certificate.of(kind, bounds, reference, repeats, sequences, len(all_values))


def _steps_before_denoise(backbone: ScoreBackbone, table: StepTable) -> tuple[list[Step], float]:
    steps = list(steps_of(table, backbone.length))
    return steps[:-1], steps[-1].t
