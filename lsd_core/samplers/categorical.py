"""Exact categorical draws: inversion in float64, one uniform a row."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK = 256  # tokens summed before any is looked at
SMALL = 1024  # of fewer tokens the cumulative sums are all made
HEAD_ELEMENTS = 1 << 24  # of a piece of logits: enough rows for an efficient product, 64 MiB in float32
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

    Cost: two passes over the logits, one exponential a token, and no temporary of their size.
    """
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
