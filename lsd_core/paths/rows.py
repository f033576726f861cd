"""Log-probabilities and divergences of rows of logits: in float64, or on an accelerator by fused kernels."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.numerics.fused import usable
from lsd_core.samplers.categorical import trial_rows

ROUNDED = 2.0**-20
"""Error of the fused kernels: log q(token) within ROUNDED nats, KL(q || p) within ROUNDED (KL + 3).

A weight is within e = 2^-21 of itself, relatively; all else is float64. So log W, the logarithm of a row's sum, is
wrong by e, and q~ = w~ / W~ by 2 e q at most. As sum (q~ - q) = 0, what the kernel computes is
KL + sum (q~ - q) log(q / p) and the errors of two logarithms: at most 2 e (E_q |log(q / p)| + 1) away. And
E_q |log(q / p)| <= KL + 2, because sum q max(0, log(p / q)) <= sum max(0, p - q) <= 1.
"""
TRIED = ((torch.float32, 20_000), (torch.bfloat16, 3000), (torch.float16, 3000), (torch.float64, 40))

Gain = float | Float[Tensor, "r 1"]


def fuses(device: torch.device) -> bool:
    """Whether fused kernels compute rows on this device."""
    return usable("costs", device, _difference)


def log_prob(log_weights: Float[Tensor, "r v"], gain: Gain, token: Int[Tensor, " r"]) -> Float[Tensor, " r"]:
    """log q(token), float64, of the distributions proportional to exp(gain * log_weights)."""
    if fuses(log_weights.device):
        return fused_log_prob(log_weights, gain, token)
    return log_probs(log_weights, gain).gather(1, token[:, None])[:, 0]


def kl(
    log_q: Float[Tensor, "r v"], gain_q: Gain, log_p: Float[Tensor, "r v"], gain_p: Gain
) -> Float[Tensor, " r"]:
    """KL(q || p) in nats, float64, of the distributions proportional to exp(gain * log-weights), row by row."""
    if fuses(log_q.device):
        return fused_kl(log_q, gain_q, log_p, gain_p)
    return normalised_kl(log_probs(log_q, gain_q), log_probs(log_p, gain_p))


class GainedRows:
    """Distributions given by log-weights, under one gain after another.

    Plain operations normalise them once; fused kernels read them as they are.
    """

    def __init__(self, log_weights: Float[Tensor, "r v"]) -> None:
        self._log_p = log_weights if fuses(log_weights.device) else log_probs(log_weights, 1.0)
        self._gained: tuple[float, Tensor] = 1.0, self._log_p

    def kl_to_plain(self, gain: float, at: Int[Tensor, " s"] | slice) -> Float[Tensor, " s"]:
        """KL(q^gain || q) of some rows."""
        log_p = self._log_p[at]
        if fuses(log_p.device):
            return fused_kl(log_p, gain, log_p, 1.0)
        return normalised_kl(self._under(gain)[at], log_p)

    def kl_to(
        self, gain: float, at: Int[Tensor, " s"], log_weights: Float[Tensor, "s v"]
    ) -> Float[Tensor, " s"]:
        """KL(q^gain || p) of some rows, p given by log-weights of its own."""
        if fuses(log_weights.device):
            return fused_kl(self._log_p[at], gain, log_weights, 1.0)
        return normalised_kl(self._under(gain)[at], log_probs(log_weights, 1.0))

    def _under(self, gain: float) -> Tensor:
        if gain == 1:
            return self._log_p
        if self._gained[0] != gain:
            self._gained = gain, log_probs(self._log_p, gain)
        return self._gained[1]


def log_probs(log_weights: Float[Tensor, "r v"], gain: Gain) -> Float[Tensor, "r v"]:
    """The distributions proportional to exp(gain * log_weights), normalised in float64."""
    return (gain * log_weights.double()).log_softmax(-1)


def normalised_kl(log_q: Float[Tensor, "r v"], log_p: Float[Tensor, "r v"]) -> Float[Tensor, " r"]:
    """KL of normalised rows; a token of probability 0 under q adds nothing."""
    return torch.where(log_q > -torch.inf, log_q.exp() * (log_q - log_p), 0.0).sum(-1)


def fused_log_prob(
    log_weights: Float[Tensor, "r v"], gain: Gain, token: Int[Tensor, " r"]
) -> Float[Tensor, " r"]:
    """`log_prob` in one launch, within ROUNDED; NaN where a row is no distribution."""
    from lsd_core.paths.row_kernels import log_prob_rows  # needs Triton

    return log_prob_rows(log_weights, _powers(gain, log_weights), token)


def fused_kl(
    log_q: Float[Tensor, "r v"], gain_q: Gain, log_p: Float[Tensor, "r v"], gain_p: Gain
) -> Float[Tensor, " r"]:
    """`kl` in one launch, within ROUNDED (KL + 3); NaN where a row is no distribution."""
    from lsd_core.paths.row_kernels import kl_rows  # needs Triton

    return kl_rows(log_q, _powers(gain_q, log_q), log_p, _powers(gain_p, log_p))


def right_log_prob(
    found: Float[Tensor, " r"], log_weights: Float[Tensor, "r v"], gain: Gain, token: Int[Tensor, " r"]
) -> Bool[Tensor, " r"]:
    """Whether each value is log q(token) within ROUNDED."""
    exact = log_probs(log_weights, gain).gather(1, token[:, None])[:, 0]
    return (found == exact) | ((found - exact).abs() <= ROUNDED)


def right_kl(
    found: Float[Tensor, " r"],
    log_q: Float[Tensor, "r v"],
    gain_q: Gain,
    log_p: Float[Tensor, "r v"],
    gain_p: Gain,
) -> Bool[Tensor, " r"]:
    """Whether each value is KL(q || p) within its stated error."""
    exact = normalised_kl(log_probs(log_q, gain_q), log_probs(log_p, gain_p))
    return (found == exact) | ((found - exact).abs() <= ROUNDED * (exact + 3))


def _powers(gain: Gain, log_weights: Tensor) -> Float[Tensor, " r"]:
    """A gain for each row."""
    shape, device = (len(log_weights),), log_weights.device
    if isinstance(gain, Tensor):
        return gain[:, 0].to(device, torch.float64).expand(shape)
    return torch.full(shape, gain, dtype=torch.float64, device=device)


def _difference(device: torch.device) -> str:
    """How fused rows on this device differ from exact ones beyond ROUNDED: not at all, as they should."""
    gain = torch.linspace(0.5, 2.0, 16, dtype=torch.float64, device=device)[:, None]
    for dtype, num_tokens in TRIED:
        rows = trial_rows(num_tokens, device)
        log_q, log_p = rows.to(dtype), (0.9 * rows).to(dtype)
        token = torch.arange(16, device=device) * 2 % num_tokens
        of_token = right_log_prob(fused_log_prob(log_q, gain, token), log_q, gain, token)
        of_row = right_kl(fused_kl(log_q, gain, log_p, 1.0), log_q, gain, log_p, 1.0)
        if wrong := int((~of_token).sum() + (~of_row).sum()):
            return f"{wrong} of 32 values of {num_tokens} logits in {dtype} are others"
    return ""
