"""Counter-based uniforms (Philox): a random number is a function of (seed, trajectory, call, position, purpose).

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), written on int64 tensors
so that it runs on any device; on one of Triton's a fused kernel gives the same bits in one launch. The key is the
seed; the counter is (trajectory, call, position, purpose), so a sample does not depend on its batch, its worker, or the
rows that an engine skips.
"""

from enum import IntEnum

import torch
from torch import Tensor

from lsd_core.numerics.fused import usable

_WORD = 0xFFFFFFFF
_MULTIPLIER = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


class Purpose(IntEnum):
    """The purpose of a uniform, a part of its counter."""

    PRIOR = 0
    REVEAL = 1
    TOKEN = 2
    TIME = 3
    ORDER = 4
    PERTURB = 5
    DATA = 6
    MASK = 7
    JUMP = 8
    STAGE2_TOKEN = 9
    GUMBEL = 10
    CONDITION = 11


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Ten rounds of Philox on four int64 tensors holding 32-bit words; returns four such tensors."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIER[0])
        high1, low1 = _multiply(c2, _MULTIPLIER[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def uniforms(seed: int, trajectory: Tensor, call: Tensor | int, position: Tensor, purpose: Purpose) -> Tensor:
    """Uniforms in [0, 1) with 53 random bits, float64, one for each (trajectory, call, position).

    The arguments broadcast against each other; seed lies in [0, 2^64), the others in [0, 2^32).
    """
    if usable("uniforms", trajectory.device, _difference):
        return _fused(seed, trajectory, call, position, purpose)
    return _plain(seed, trajectory, call, position, purpose)


def drawn_index(seed: int, trajectory: Tensor, size: int) -> Tensor:
    """Which of `size` things each trajectory draws from the data, with replacement: functions of (seed, trajectory)."""
    return (uniforms(seed, trajectory, 0, torch.zeros_like(trajectory), Purpose.DATA) * size).long()


def uniform_grid(seed: int, trajectory: Tensor, call: Tensor | int, length: int, purpose: Purpose) -> Tensor:
    """Uniforms (b, length): one for each position of each trajectory."""
    position = torch.arange(length, device=trajectory.device)
    if isinstance(call, Tensor):
        call = call[:, None]
    return uniforms(seed, trajectory[:, None], call, position[None, :], purpose)


def _plain(seed: int, trajectory: Tensor, call: Tensor | int, position: Tensor, purpose: Purpose) -> Tensor:
    calls = torch.as_tensor(call, dtype=torch.long, device=trajectory.device)
    trajectory, calls, position = torch.broadcast_tensors(trajectory, calls, position)
    purposes = torch.full_like(trajectory, int(purpose))
    key = (seed & _WORD, (seed >> 32) & _WORD)
    w0, w1, _, _ = philox4x32((trajectory, calls, position, purposes), key)
    return ((w0 >> 5).double() * 67108864.0 + (w1 >> 6).double()) / 9007199254740992.0


def _fused(seed: int, trajectory: Tensor, call: Tensor | int, position: Tensor, purpose: Purpose) -> Tensor:
    from lsd_core.numerics.philox_kernel import philox_uniforms  # needs Triton

    return philox_uniforms(seed, trajectory, call, position, int(purpose))


def _difference(device: torch.device) -> str:
    """How the fused uniforms differ from the plain ones on this device: not at all, if they are equal bit for bit."""
    row, column = torch.arange(33, device=device), _WORD - torch.arange(70, device=device)
    for call in (_WORD, row[:, None] % 7):
        words = (0x299F31D0_A4093822, row[:, None], call, column, Purpose.TOKEN)
        wrong = _fused(*words) != _plain(*words)
        if bool(wrong.any()):
            return f"{int(wrong.sum())} of {wrong.numel()} uniforms are others"
    return ""


def _multiply(word: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32 x 32 bit product.

    The 64-bit product may wrap into the sign bit; the arithmetic shift is masked, so both halves are right.
    """
    product = word * constant
    return (product >> 32) & _WORD, product & _WORD
