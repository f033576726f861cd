"""Triton kernel of counter-based uniforms: bit for bit those of `randomness`, in one launch.

Imported where Triton is installed and the device is one of its own; see `fused`.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from lsd_core.numerics.fused import on_device

BLOCK = 256


def philox_uniforms(
    seed: int, trajectory: Tensor, call: Tensor | int, position: Tensor, purpose: int
) -> Tensor:
    """Uniforms in [0, 1), float64, one for each (trajectory, call, position); they broadcast, and nothing is copied.

    seed lies in [0, 2^64), the others in [0, 2^32).
    """
    calls = call if isinstance(call, Tensor) else trajectory
    words = torch.broadcast_tensors(trajectory, calls, position)
    uniform = torch.empty(words[0].shape, dtype=torch.float64, device=trajectory.device)
    if uniform.numel() == 0:
        return uniform
    if uniform.ndim > 3:
        words = tuple(word.reshape(-1) for word in words)
    _, rows, columns = (1, 1, 1, *words[0].shape)[-3:]
    strides = [stride for word in words for stride in (0, 0, 0, *word.stride())[-3:]]
    with on_device(uniform):
        uniforms_kernel[(triton.cdiv(uniform.numel(), BLOCK),)](
            uniform, words[0], words[1] if isinstance(call, Tensor) else call, words[2], *strides,
            uniform.numel(), rows, columns, seed & 0xFFFFFFFF, seed >> 32, purpose, BLOCK, num_warps=4,
        )  # fmt: skip
    return uniform


@triton.jit(do_not_specialize=["call", "size", "rows", "columns", "seed_low", "seed_high", "purpose"])
@no_type_check
def uniforms_kernel(
    uniform,
    trajectory,
    call,
    position,
    trajectory_plane,
    trajectory_row,
    trajectory_column,
    call_plane,
    call_row,
    call_column,
    position_plane,
    position_row,
    position_column,
    size,
    rows,
    columns,
    seed_low,
    seed_high,
    purpose,
    BLOCK: tl.constexpr,  # noqa: N803
):
    """One uniform an element of (planes, rows, columns), of counter words at their strides; a call may be a number."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < size
    plane, row, column = index // columns // rows, index // columns % rows, index % columns
    at = plane * trajectory_plane + row * trajectory_row + column * trajectory_column
    word0 = tl.load(trajectory + at, inside, 0)
    if call.dtype.is_ptr():
        at = plane * call_plane + row * call_row + column * call_column
        word1 = tl.load(call + at, inside, 0)
    else:
        word1 = tl.zeros_like(word0) + call
    at = plane * position_plane + row * position_row + column * position_column
    word2 = tl.load(position + at, inside, 0)
    drawn = uniform_of(word0, word1, word2, purpose, seed_low, seed_high)
    tl.store(uniform + index, drawn, inside)


@triton.jit
@no_type_check
def uniform_of(trajectory, call, position, purpose, seed_low, seed_high):
    """53 bits of the first two words of Philox4x32-10 (Salmon et al. 2011), over 2^53."""
    seed = (tl.cast(seed_high, tl.uint64) << 32) | tl.cast(seed_low, tl.uint64)
    last = tl.zeros_like(trajectory).to(tl.uint32) + tl.cast(purpose, tl.uint32)
    word0, word1, _, _ = tl.philox(
        seed, trajectory.to(tl.uint32), call.to(tl.uint32), position.to(tl.uint32), last
    )
    bits = ((word0 >> 5).to(tl.uint64) << 26) | (word1 >> 6).to(tl.uint64)
    return bits.to(tl.float64) * 1.1102230246251565e-16  # 2^-53
