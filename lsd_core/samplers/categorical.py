"""Exact categorical draws: inversion in float64, one uniform a row."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def draw_categorical(probs: Float[Tensor, "r v"], uniform: Float[Tensor, " r"]) -> Int[Tensor, " r"]:
    """The first index whose cumulative probability exceeds the uniform; rows need not be normalised.

    Inversion keeps the whole tail: the float32 Gumbel draw with a 1e-6 offset of the released samplers
    cannot reach tokens rarer than about 1e-7 and so cuts it.
    """
    cumulative = probs.double().cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    index = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
    last = torch.searchsorted(cumulative, total)  # the last possible index, should u * total round up
    return torch.minimum(index, last)[:, 0]
