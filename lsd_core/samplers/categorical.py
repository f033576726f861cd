"""Exact categorical draws: inversion in float64, one uniform a row; on an accelerator in one fused kernel."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.numerics.fused import usable

BLOCK = 256  # tokens summed before any is looked at
SMALL = 1024  # of fewer tokens the cumulative sums are all made
HEAD_ELEMENTS = 1 << 24  # of a piece of logits: enough rows for an efficient product, 64 MiB in float32
FUSED_HEAD_ELEMENTS = 1 << 25  # where no float64 weights lie beside a piece: in all no more memory
NEAR = 2.0**-22
"""What rounding moves a boundary between two tokens by in the fused kernel, at most, in units of the whole mass.

Its weights are float32 numbers within 2^-21 of themselves, its sums float64. So the share F_j of the first tokens is
wrong by at most 2 * 2^-21 F_j (1 - F_j) <= 2^-22, and its token is the plain path's unless the uniform lies as near to
a boundary between possible tokens; then it is the one beyond. A token of weight 0 is never drawn.
"""
TRIED = (  # types, vocabularies and gains that the fused kernel is first tried on
    (torch.float32, 20_000, 1.0),
    (torch.bfloat16, 3000, 0.7),
    (torch.float16, 3000, 1.7),
    (torch.float64, 40, 1.0),
)
DRAW_ELEMENTS = {"cpu": 1 << 19, "cuda": 1 << 24}  # of a piece in float64: 4 MiB on a CPU, which caches hold


def draw_categorical(probs: Float[Tensor, "r v"], uniform: Float[Tensor, " r"]) -> Int[Tensor, " r"]:
    """The first index whose cumulative probability exceeds the uniform; rows need not be normalised.

    Inversion keeps the whole tail: the float32 Gumbel draw with a 1e-6 offset of the released samplers
    cannot reach tokens rarer than about 1e-7 and so cuts it.
    """
    cumulative = probs.double().cumsum(dim=-1)
    return _search(cumulative, uniform[:, None] * cumulative[:, -1:])[:, 0]


def draw_power(
    log_weights: Float[Tensor, "r v"], power: float, uniform: Float[Tensor, " r"]
) -> Int[Tensor, " r"]:
    """`draw_categorical` from the distributions proportional to exp(power * log_weights): the same index.

    The weights are made in float64 a few rows at a time, so that they stay in a cache; cumulative sums are
    made of blocks of them first, and then of the tokens of one block.

    Cost: two passes over the logits, one exponential a token, and no temporary of their size. On an accelerator one
    launch and one pass, of float32 weights and float64 sums: the same index but for uniforms within NEAR of a boundary.
    """
    if fuses(log_weights.device, power):
        return fused_draw(log_weights, power, uniform).clamp_(min=0)
    return _draw_plainly(log_weights, power, uniform)


def fuses(device: torch.device, power: float) -> bool:
    """Whether the fused kernel draws on this device; it splits log-weights into multiples of log(2) / power."""
    return 1e-6 <= power <= 1e6 and usable("draws", device, _difference)


def fused_draw(
    log_weights: Float[Tensor, "r v"], power: float, uniform: Float[Tensor, " r"]
) -> Int[Tensor, " r"]:
    """`draw_power` in one launch, where it `fuses`; -1 where a row holds NaN or +inf, or nothing but -inf."""
    from lsd_core.samplers.draw_kernel import draw_rows  # needs Triton

    return draw_rows(log_weights, power, uniform)


def right(
    index: Int[Tensor, " r"], log_weights: Float[Tensor, "r v"], power: float, uniform: Float[Tensor, " r"]
) -> Bool[Tensor, " r"]:
    """Whether each index is possible, and the row's uniform in its interval, lengthened by NEAR on both sides."""
    probs = (power * log_weights.double()).softmax(-1)
    own = probs.gather(1, index[:, None])[:, 0]
    end = probs.cumsum(-1).gather(1, index[:, None])[:, 0]
    return (own > 0) & (end - own - NEAR <= uniform) & (uniform < end + NEAR)


def _difference(device: torch.device) -> str:
    """How fused draws on this device differ from exact ones beyond NEAR: not at all, as they should."""
    uniform = torch.linspace(0, 1 - 2**-53, 16, dtype=torch.float64, device=device)
    for dtype, num_tokens, power in TRIED:
        log_weights = trial_rows(num_tokens, device).to(dtype)
        token = fused_draw(log_weights, power, uniform)
        fine = right(token.clamp(0, num_tokens - 1), log_weights, power, uniform)
        wrong = int((~fine | (token < 0)).sum())
        if wrong:
            return f"{wrong} of 16 tokens drawn from {num_tokens} logits in {dtype} are others"
    return ""


def trial_rows(num_tokens: int, device: torch.device) -> Float[Tensor, "16 v"]:
    """Log-weights that fused kernels are first tried on: every third row has impossible tokens."""
    wave = torch.linspace(1e3, 2e3, 16, dtype=torch.float64, device=device)[:, None]
    place = torch.linspace(-1, 1, num_tokens, dtype=torch.float64, device=device)
    rows = 9 * (place * wave).sin()
    rows[1::3, num_tokens // 4 : num_tokens // 2] = -torch.inf
    return rows


def _draw_plainly(log_weights: Tensor, power: float, uniform: Tensor) -> Int[Tensor, " r"]:
    num_rows, num_tokens = log_weights.shape
    most = rows_of(DRAW_ELEMENTS.get(log_weights.device.type, 1 << 24), num_tokens)
    size = max(1, min(num_rows, most))
    width = num_tokens if num_tokens <= SMALL else -(-num_tokens // BLOCK) * BLOCK
    scratch = torch.zeros(size, width, dtype=torch.float64, device=log_weights.device)
    parts = [uniform.new_zeros(0, dtype=torch.long)]
    for part in pieces(num_rows, size):
        weights = _powered(log_weights[part], power, scratch)
        invert = draw_categorical if width == num_tokens else _draw_by_blocks
        parts.append(invert(weights, uniform[part].double()))
    return torch.cat(parts)


def pieces(num_rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows."""
    for begin in range(0, num_rows, size):
        yield slice(begin, begin + size)


def rows_of(elements: int, num_tokens: int) -> int:
    """Rows of so many tokens that have about `elements` elements together, at least one."""
    return max(1, elements // num_tokens)


def _powered(log_weights: Tensor, power: float, scratch: Tensor) -> Float[Tensor, "r w"]:
    """exp(power * (log_weights - their maximum)) on the first rows of `scratch`; what is right of them stays 0."""
    num_rows, num_tokens = log_weights.shape
    weights = scratch[:num_rows]
    top = log_weights.amax(dim=-1, keepdim=True).double()
    own = weights[:, :num_tokens].copy_(log_weights)
    torch.add(top * -power, own, alpha=power, out=own).exp_()
    return weights


def _draw_by_blocks(weights: Float[Tensor, "r w"], uniform: Float[Tensor, " r"]) -> Int[Tensor, " r"]:
    """As `draw_categorical`, seeing blocks of tokens first and then the tokens of one block."""
    blocks = weights.unflatten(1, (-1, BLOCK))
    sums = blocks.sum(-1).cumsum(-1)
    target = uniform[:, None] * sums[:, -1:]
    block = _search(sums, target)
    before = torch.where(block > 0, sums.gather(1, (block - 1).clamp(min=0)), 0.0)
    inner = blocks[torch.arange(len(block), device=block.device), block[:, 0]].cumsum(-1)
    return (block * BLOCK + _search(inner, target - before))[:, 0]


def _search(cumulative: Float[Tensor, "r v"], target: Float[Tensor, "r 1"]) -> Int[Tensor, "r 1"]:
    """The first index whose sum exceeds the target, or the last possible one, should the target round up."""
    index = torch.searchsorted(cumulative, target.contiguous(), right=True)
    last = torch.searchsorted(cumulative, cumulative[:, -1:].contiguous())
    return torch.minimum(index, last)
