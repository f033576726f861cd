"""Triton kernels of log-probabilities and divergences of rows: gain, normalisation and sum in one launch and one read.

Weights are those of fused draws (`samplers.draw_kernel`): exp(power x) = 2^(n + f) of which 2^f alone is rounded to
float32. Exponents and sums are float64, and sums are kept relative to the largest n seen, rescaled without rounding.
A divergence is E_q[log w_q - log w_p] - log W_q + log W_p with w unnormalised and W their sums. The difference in the
expectation is float64, so that logits far from zero lose nothing, and equal rows are 0 apart. `rows.ROUNDED` says what
the rounded weights do to it.

Imported where Triton is installed and the device is one of its own; see `numerics.fused`.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.fused import on_device
from lsd_core.samplers.draw_kernel import MOST, along_rows, block_of, power_of_two, split, weight

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


def log_prob_rows(
    log_weights: Float[Tensor, "r v"], power: Float[Tensor, " r"], token: Int[Tensor, " r"]
) -> Float[Tensor, " r"]:
    """log q(token), float64, of the distributions proportional to exp(power * log_weights); powers are float64.

    NaN where a row is no distribution: it holds NaN or +inf, or nothing but -inf.
    """
    log_prob = torch.empty(len(log_weights), dtype=torch.float64, device=log_weights.device)
    if len(log_weights):
        log_weights, (block, warps) = along_rows(log_weights), block_of(log_weights.shape[1])
        with on_device(log_prob):
            log_prob_kernel[(len(log_weights),)](
                log_prob, log_weights, power.contiguous(), token.contiguous(),
                log_weights.stride(0), log_weights.shape[1], block, num_warps=warps,
            )  # fmt: skip
    return log_prob


def kl_rows(
    log_q: Float[Tensor, "r v"],
    power_q: Float[Tensor, " r"],
    log_p: Float[Tensor, "r v"],
    power_p: Float[Tensor, " r"],
) -> Float[Tensor, " r"]:
    """KL(q || p) in nats, float64, of the distributions proportional to exp(power * log-weights); powers are float64.

    Infinite where p excludes a token that is possible under q, NaN where a row is no distribution.
    """
    kl = torch.empty(len(log_q), dtype=torch.float64, device=log_q.device)
    if len(log_q):
        log_q, log_p, (block, warps) = along_rows(log_q), along_rows(log_p), block_of(log_q.shape[1])
        with on_device(kl):
            kl_kernel[(len(log_q),)](
                kl, log_q, power_q.contiguous(), log_p, power_p.contiguous(),
                log_q.stride(0), log_p.stride(0), log_q.shape[1], block, num_warps=warps,
            )  # fmt: skip
    return kl


@triton.jit(do_not_specialize=["num_tokens"])
@no_type_check
def log_prob_kernel(log_prob, log_weights, power, token, stride, num_tokens, BLOCK: tl.constexpr):  # noqa: N803
    """One row a program: its sum, and the weight of one token of it."""
    row = tl.program_id(0).to(tl.int64)
    own, rate = log_weights + row * stride, tl.load(power + row) * LOG2_E
    lane = tl.arange(0, BLOCK)
    sums = tl.zeros((BLOCK,), tl.float64)
    top = tl.full((), -MOST, tl.int32)
    wrong = tl.zeros((BLOCK,), tl.int32)
    for k in range(0, tl.cdiv(num_tokens, BLOCK)):
        at = k * BLOCK + lane
        x = tl.load(own + at, at < num_tokens, float("-inf")).to(tl.float64)
        wrong = tl.where(x < float("inf"), wrong, 1)  # not NaN either
        _, n, f = split(x, rate)
        risen = tl.maximum(top, tl.max(n, 0))
        sums = sums * power_of_two(top - risen) + weight(x, n, f, risen).to(tl.float64)
        top = risen
    x = tl.load(own + tl.load(token + row)).to(tl.float64)
    scaled, _, _ = split(x, rate)
    total = tl.sum(sums, 0)
    value = (scaled - top - tl.log(total) * LOG2_E) * LN_2
    value = tl.where(x > float("-inf"), value, float("-inf"))
    tl.store(log_prob + row, tl.where((tl.max(wrong, 0) > 0) | (total == 0), float("nan"), value))


@triton.jit(do_not_specialize=["num_tokens"])
@no_type_check
def kl_kernel(
    kl, log_q, power_q, log_p, power_p, stride_q, stride_p, num_tokens, BLOCK: tl.constexpr  # noqa: N803
):  # fmt: skip
    """A pair of rows a program: the sums of both, and that of the first one's weights times how far they are apart."""
    row = tl.program_id(0).to(tl.int64)
    rate_q, rate_p = tl.load(power_q + row) * LOG2_E, tl.load(power_p + row) * LOG2_E
    lane = tl.arange(0, BLOCK)
    sums_q, sums_p = tl.zeros((BLOCK,), tl.float64), tl.zeros((BLOCK,), tl.float64)
    apart = tl.zeros((BLOCK,), tl.float64)
    top_q, top_p = tl.full((), -MOST, tl.int32), tl.full((), -MOST, tl.int32)
    wrong, excluded = tl.zeros((BLOCK,), tl.int32), tl.zeros((BLOCK,), tl.int32)
    for k in range(0, tl.cdiv(num_tokens, BLOCK)):
        at = k * BLOCK + lane
        x = tl.load(log_q + row * stride_q + at, at < num_tokens, float("-inf")).to(tl.float64)
        z = tl.load(log_p + row * stride_p + at, at < num_tokens, float("-inf")).to(tl.float64)
        wrong = tl.where((x < float("inf")) & (z < float("inf")), wrong, 1)  # neither is NaN
        excluded = tl.where((x > float("-inf")) & (z == float("-inf")), 1, excluded)
        scaled_q, n, f = split(x, rate_q)
        risen = tl.maximum(top_q, tl.max(n, 0))
        w, shift = weight(x, n, f, risen).to(tl.float64), power_of_two(top_q - risen)
        top_q = risen
        scaled_p, n, f = split(z, rate_p)
        risen = tl.maximum(top_p, tl.max(n, 0))
        sums_p = sums_p * power_of_two(top_p - risen) + weight(z, n, f, risen).to(tl.float64)
        top_p = risen
        sums_q = sums_q * shift + w
        apart = apart * shift + w * (scaled_q - scaled_p)
    total_q, total_p = tl.sum(sums_q, 0), tl.sum(sums_p, 0)
    # Powers of two outside of the logarithms, in which equal sums cancel.
    value = tl.sum(apart, 0) / total_q - (top_q - top_p) - (tl.log(total_q) - tl.log(total_p)) * LOG2_E
    value = tl.where(tl.max(excluded, 0) > 0, float("inf"), tl.maximum(value, 0.0) * LN_2)
    none = (tl.max(wrong, 0) > 0) | (total_q == 0) | (total_p == 0)
    tl.store(kl + row, tl.where(none, float("nan"), value))
