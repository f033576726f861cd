"""Reverse certificates for any process: two forms, of which the smaller is reported.

With q the sampler, p the network's reverse chain from the prior down to delta, both denoised alike:

- `leaping` (last jump wins): KL(q_out || p_out) <= E_q int_delta^1 sum_{i,y} [R_q log(R_q / R_p) - R_q + R_p] du,
  R_q the step's frozen rates, R_p the network's where the path is; it vanishes as steps shrink.
- `kernels` (any kernels): KL(q_out || p_out) <= E_q [log prior(x_1) + sum_k (log q_k - log f) + NLL(x_delta)],
  f the exact forward kernel, NLL the evidence bound by the forward chain from x_delta; an inexact network leaves
  a floor. Where the forward chain does not reach the prior (absorbing) it is infinite.
"""

from dataclasses import replace

import torch

from lsd_core.backbones.scores import ScoreBackbone, X0Backbone
from lsd_core.certificates.bridge import reverse_bridges
from lsd_core.certificates.certificate import Certificate
from lsd_core.certificates.strata import mean_of, strata, time_in
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.rate_terms import bridge_term, frozen_term, kernel_term, prior_term
from lsd_core.processes import Gaussian
from lsd_core.samplers.catalog import factorised, get_sampler
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.full import growth_between, predict
from lsd_core.samplers.full_kernels import last_jump_kernel
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.state import draw_prior
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

REFERENCE = "the network's exact reverse chain, denoised as the sampler is"
FORWARD = 1 << 20  # calls of draws of the forward chain: apart from those of the steps


@torch.inference_mode()
def reverse_any(
    backbone: ScoreBackbone, sampler: str, table: StepTable, *, num_paths: int, seed: int
) -> Certificate:
    """The smaller of the forms that hold for the sampler. Cost: up to M + 2 calls a path for each.

    Tweedie steps of a network that predicts the clean token have a form of their own (`bridge_certificate`),
    to a reference that is denoised at the very end.
    """
    method = factorised(get_sampler(sampler, backbone.process))
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
    values, sequences = [], 0
    steps, delta = _steps_before_denoise(backbone, table)
    for stratum, draws in strata(num_paths, seed):
        t = time_in(stratum, draws, delta)
        x = draw_prior(backbone.process, draws, backbone.length)
        for step in steps:
            rates = predict(backbone, x, step.t, step).rates()
            sequences += len(x)
            if t >= step.s:
                break
            x = last_jump_kernel(rates, x, step.t - step.s).draw(draws, step.index)
        here = last_jump_kernel(rates, x, step.t - t).draw(draws, step.index)
        values.append((1 - delta) * frozen_term(backbone, x, here, step, t))
        sequences += 2 * len(x)
    return mean_of("reverse_leaping", REFERENCE, torch.cat(values), sequences)


def reverse_kernels(
    backbone: ScoreBackbone, method: OneCall, table: StepTable, num_paths: int, seed: int
) -> Certificate:
    """The form for any kernels, by whole paths and one time of the evidence bound for each."""
    process, values, sequences = backbone.process, [], 0
    steps, delta = _steps_before_denoise(backbone, table)
    prior = process.prior_law().double().log()
    for stratum, draws in strata(num_paths, seed):
        x = draw_prior(process, draws, backbone.length)
        value = prior.to(x.device)[x].sum(1)
        for step in steps:
            kernel = method.kernel(predict(backbone, x, step.t, step), step)
            after = kernel.draw(draws, step.index)
            value = value + kernel_term(process, kernel, x, after, step)
            x, sequences = after, sequences + len(x)
        t = time_in(stratum, draws, delta)
        forward = process.transition(growth_between(process, t, delta)).to(x.device)[x]
        uniform = uniforms(
            draws.seed, draws.trajectory[:, None], FORWARD, torch.arange(backbone.length), Purpose.TOKEN
        )
        here = draw_categorical(forward.flatten(0, 1), uniform.flatten()).view(x.shape)
        value = value + prior_term(process, x, delta)
        values.append(value + (1 - delta) * bridge_term(backbone, x, here, delta, t))
        sequences += len(x)
    return mean_of("reverse_kernels", REFERENCE, torch.cat(values), sequences)


def _steps_before_denoise(backbone: ScoreBackbone, table: StepTable) -> tuple[list[Step], float]:
    steps = list(steps_of(table, backbone.length))
    return steps[:-1], steps[-1].t
