"""Terms of the certificates of full-state processes: divergences of jump rates and of kernels.

The reference is the network's own reverse chain, from the prior at t = 1 down to the time delta at which a table
begins its final denoise. Sampler and reference denoise alike, so what is bounded at delta holds for the output.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.finite import finite
from lsd_core.backbones.scores import ScoreBackbone
from lsd_core.processes import Absorbing, Process
from lsd_core.samplers.full import FullPrediction, growth_between, predict
from lsd_core.samplers.full_kernels import reverse_rates
from lsd_core.samplers.kernel import Kernel
from lsd_core.samplers.step import Step


def rate_divergence(
    used: Float[Tensor, "b l s"], reference: Float[Tensor, "b l s"], x: Int[Tensor, "b l"]
) -> Float[Tensor, " b"]:
    """sum over positions i and targets y != x_i of R log(R / P) - R + P, R the used rates and P the reference's.

    The rate at which the KL between two jump processes grows, in nats a unit of time; infinite where the used
    one jumps and the reference cannot.
    """
    log_ratio = torch.where(used > 0, (used / reference).log(), 0.0)
    terms = used * log_ratio - used + reference
    return terms.scatter(-1, x[..., None], 0.0).sum((1, 2))


def posterior_divergence(
    used: Float[Tensor, "b l s"], reference: Float[Tensor, "b l s"]
) -> Float[Tensor, " b"]:
    """sum over positions of KL(used || reference) between distributions of tokens, in nats."""
    return torch.where(used > 0, used * (used / reference).log(), 0.0).sum((1, 2))


def frozen_term(
    backbone: ScoreBackbone, before: Int[Tensor, "b l"], x: Int[Tensor, "b l"], step: Step, t: float
) -> Float[Tensor, " b"]:
    """Growth of KL(sampler || reference) at time t inside a step that leaps from the state `before` to x.

    A leap stays with chance exp(-total) and else goes to a target in proportion to the rates frozen at the
    step's start. Two jump processes have that distribution: the last jump wins, a token jumping
    at those rates wherever it is now; or, where the reference never jumps twice (absorbing), only the first
    jump happens. Two network calls.
    """
    used = predict(backbone, before, step.t, step).rates()
    if isinstance(backbone.process, Absorbing):
        used = used.masked_fill((x != before)[..., None], 0.0)
    return rate_divergence(used, _network_rates(backbone, x, t), x)


def bridges_term(
    backbone: ScoreBackbone, seen: FullPrediction, x: Int[Tensor, "b l"], u: float
) -> Float[Tensor, " b"]:
    """Growth of KL(sampler || reference) at time u inside a Tweedie step that saw `seen` and is at x. One call."""
    return rate_divergence(seen.bridge_rates(x, u), predict(backbone, x, u).rates(), x)


def denoise_term(
    backbone: ScoreBackbone, seen: FullPrediction, x: Int[Tensor, "b l"], u: float
) -> Float[Tensor, " b"]:
    """Cost of a last Tweedie step that ends along its own bridges where the reference denoises at u. One call."""
    return posterior_divergence(seen.bridge_x0(x, u), predict(backbone, x, u).x0)


def bridge_term(
    backbone: ScoreBackbone, end: Int[Tensor, "b l"], x: Int[Tensor, "b l"], delta: float, t: float
) -> Float[Tensor, " b"]:
    """Growth at time t of the bound on -log p(end at delta), at a state x drawn from the forward chain.

    Given its end, the reversed forward chain has rates rate(t) Q(y, x_i) f(y | end) / f(x_i | end). One call.
    """
    process = backbone.process
    forward = process.transition(growth_between(process, t, delta)).to(end.device)
    onto = forward[end]  # f(y | end_i), (b, l, s)
    ratio = onto / onto.gather(-1, x[..., None])
    time = torch.full((len(x),), t, dtype=torch.float64)
    return rate_divergence(reverse_rates(process, x, ratio, time), _network_rates(backbone, x, t), x)


def prior_term(process: Process, end: Int[Tensor, "b l"], delta: float) -> Float[Tensor, " b"]:
    """KL(forward chain at t = 1 given its state at delta || prior)."""
    probs = process.transition(growth_between(process, 1.0, delta)).to(end.device)[end]
    prior = process.prior_probs().double().to(end.device)
    return torch.where(probs > 0, probs * (probs / prior).log(), 0.0).sum((1, 2))


def kernel_term(
    process: Process, kernel: Kernel, before: Int[Tensor, "b l"], after: Int[Tensor, "b l"], step: Step
) -> Float[Tensor, " b"]:
    """log q(after | before) - log f(before | after), f the exact forward kernel from s to t."""
    forward = process.transition(growth_between(process, step.t, step.s)).to(after.device)[after, before]
    return (kernel.log_prob(after) - forward.log()).sum(1)


def _network_rates(backbone: ScoreBackbone, x: Tensor, t: float) -> Tensor:
    times = torch.full((len(x),), t, dtype=torch.float64, device=x.device)
    return reverse_rates(backbone.process, x, finite(backbone, backbone.score(x, times)), times)
