"""Triton kernel of exact categorical draws: gain, normalisation and inversion of a row in one launch, one read of it.

A weight is exp(power x) = 2^(n + f) with an integer n and |f| <= 1/2. Only 2^f is computed, in float32; powers of two
are exact, so that rows need no maximum beforehand: sums are kept relative to the largest n seen, and rescaled without
rounding when it grows. Sums are float64. So all of the error is that of a weight, at most RELATIVE_ERROR of it,
whatever the vocabulary and the range of the logits; `categorical.NEAR` is what it does to a draw.

Imported where Triton is installed and the device is one of its own; see `numerics.fused`.
"""

import math
import struct
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.fused import on_device

MOST_BLOCK = 2048
MOST = tl.constexpr(1 << 22)  # exponents n lie within +- this: what is beyond counts as being there
LEAST = tl.constexpr(-125)  # a weight is 0 whose exponent lies so far below the largest
ROUNDING = tl.constexpr(
    12582912.0
)  # 1.5 * 2^23: a float32 added to it is rounded to an integer, in its lowest bits


def draw_rows(
    log_weights: Float[Tensor, "r v"], power: float, uniform: Float[Tensor, " r"]
) -> Int[Tensor, " r"]:
    """A token from each of the distributions proportional to exp(power * log_weights), by inversion.

    The power lies in 1e-6 .. 1e6. -1 where a row is no distribution: it holds NaN or +inf, or nothing but -inf.
    """
    num_rows, num_tokens = log_weights.shape
    token = torch.empty(num_rows, dtype=torch.long, device=log_weights.device)
    if num_rows == 0:
        return token
    log_weights, (block, warps) = along_rows(log_weights), block_of(num_tokens)
    rate = power * math.log2(math.e)
    rate_high = single(rate)
    with on_device(token):
        draw_kernel[(num_rows,)](
            token, log_weights, uniform.contiguous(), log_weights.stride(0), num_tokens,
            rate_high, rate - rate_high, min((1 << 22) / rate, 3e38), *thirds(1 / rate),
            block, triton.next_power_of_2(triton.cdiv(num_tokens, block)),
            num_warps=warps,
        )  # fmt: skip
    return token


def along_rows(log_weights: Float[Tensor, "r v"]) -> Float[Tensor, "r v"]:
    """The same, each row's values side by side: kernels take the distance of rows alone."""
    return log_weights if log_weights.stride(1) == 1 else log_weights.contiguous()


def block_of(num_tokens: int) -> tuple[int, int]:
    """Tokens that a program reads at once, and its warps."""
    block = min(MOST_BLOCK, triton.next_power_of_2(num_tokens))
    return block, max(1, block // 512)


def single(value: float) -> float:
    """The float32 nearest to a number."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def thirds(value: float) -> tuple[float, float, float]:
    """Three float32 whose sum is a number: 12 bits, 12 bits, and the rest. Times an integer below 2^12 the first two
    are exact."""
    parts = []
    for _ in range(2):
        fraction, exponent = math.frexp(value)
        parts.append(math.ldexp(math.trunc(math.ldexp(fraction, 12)), exponent - 12))
        value -= parts[-1]
    return parts[0], parts[1], single(value)


@triton.jit(do_not_specialize=["num_tokens"])
@no_type_check
def draw_kernel(
    token,
    log_weights,
    uniform,
    stride,
    num_tokens,
    rate,
    rate_rest,
    most,
    step_high,
    step_middle,
    step_low,
    BLOCK: tl.constexpr,  # noqa: N803
    NUM_BLOCKS: tl.constexpr,  # noqa: N803
):
    """One row a program: the sums of its blocks, the block that holds the target, the token in it."""
    row = tl.program_id(0).to(tl.int64)
    own = log_weights + row * stride
    lane, number = tl.arange(0, BLOCK), tl.arange(0, NUM_BLOCKS)
    sums = tl.zeros((NUM_BLOCKS,), tl.float64)
    top = tl.full((), -MOST, tl.int32)
    wrong = tl.zeros((BLOCK,), tl.int32)
    for k in range(0, tl.cdiv(num_tokens, BLOCK)):
        at = k * BLOCK + lane
        x = tl.load(own + at, at < num_tokens, float("-inf"))
        wrong = tl.where(x < float("inf"), wrong, 1)  # neither is NaN
        n, f = exponent(x, rate, rate_rest, most, step_high, step_middle, step_low)
        risen = tl.maximum(top, tl.max(n, 0))
        sums *= power_of_two(top - risen)
        top = risen
        sums = tl.where(number == k, tl.sum(weight(x, n, f, top).to(tl.float64), 0), sums)

    # The first block whose cumulative sum exceeds the target, or the last possible one, should the target round up.
    positive = sums > 0
    cumulative = tl.cumsum(sums, 0)
    target = tl.load(uniform + row).to(tl.float64) * tl.sum(sums, 0)
    first = tl.min(tl.where(positive & (cumulative > target), number, NUM_BLOCKS), 0)
    last = tl.max(tl.where(positive, number, -1), 0)
    block = tl.where(first < NUM_BLOCKS, first, last)
    before = tl.sum(tl.where(number < block, sums, 0.0), 0)

    # The same among its tokens, whose weights are relative to the block's own largest: one of them at least is not 0.
    at = tl.maximum(block, 0) * BLOCK + lane
    x = tl.load(own + at, at < num_tokens, float("-inf"))
    n, f = exponent(x, rate, rate_rest, most, step_high, step_middle, step_low)
    largest = tl.max(n, 0)
    weights = weight(x, n, f, largest)
    cumulative = before + tl.cumsum(weights.to(tl.float64), 0) * power_of_two(largest - top)
    first = tl.min(tl.where((weights > 0) & (cumulative > target), at, num_tokens), 0)
    last = tl.max(tl.where(weights > 0, at, -1), 0)
    drawn = tl.where(first < num_tokens, first, last)
    tl.store(token + row, tl.where(tl.max(wrong, 0) > 0, -1, drawn).to(tl.int64))


@triton.jit
@no_type_check
def exponent(x, rate, rate_rest, most, step_high, step_middle, step_low):
    """x * rate as an integer n and a rest f, |f| <= 1/2 but for rounding; -MOST for an impossible token.

    `step` is 1 / rate in three parts: in float32, x - n step is exact up to the last of them (Cody and Waite 1980) for
    |n| < 2^12, and beyond as exact as x itself is. `most` is MOST / rate.
    """
    if x.dtype == tl.float64:
        _, n, f = split(x, tl.cast(rate, tl.float64) + tl.cast(rate_rest, tl.float64))
    else:
        x = tl.minimum(tl.maximum(x.to(tl.float32), -most), most)
        rounded = x * rate + ROUNDING
        whole = rounded - ROUNDING
        n = rounded.to(tl.int32, bitcast=True) - 0x4B400000
        f = (((x - whole * step_high) - whole * step_middle) - whole * step_low) * rate
    return n, f


@triton.jit
@no_type_check
def split(x, rate):
    """x * rate in float64, within +-MOST; its nearest integer, and the rest in float32."""
    scaled = tl.minimum(tl.maximum(x * rate, -1.0 * MOST), 1.0 * MOST)
    whole = tl.floor(scaled + 0.5)
    return scaled, whole.to(tl.int32), (scaled - whole).to(tl.float32)


@triton.jit
@no_type_check
def weight(x, n, f, top):
    """2^(n + f - top) in float32, n <= top: 2^f with another exponent; 0 for an impossible token."""
    e = n - top
    power = tl.exp2(f).to(tl.int32, bitcast=True) + (e << 23)
    return tl.where((x > float("-inf")) & (e > LEAST), power.to(tl.float32, bitcast=True), 0.0)


@triton.jit
@no_type_check
def power_of_two(e):
    """2^e in float64 for an integer e <= 0, exactly; 0 where it is below the least normal number."""
    return ((tl.maximum(e, -1023).to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)
