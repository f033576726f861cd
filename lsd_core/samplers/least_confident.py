"""Choice of the positions that a corrector draws anew: the least confident ones, softened by Gumbel noise."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.state import Draws

TINY = 1e-300


def log_margin(log_probs: Float[Tensor, "*n v"], token: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Confidence in a token: log p(token) less the log-probability of the likeliest other one."""
    own = log_probs.gather(-1, token[..., None])
    others = log_probs.scatter(-1, token[..., None], -torch.inf).amax(-1)
    return (own[..., 0] - others).nan_to_num(0.0)


def sizes(share: float, candidates: Bool[Tensor, "b l"]) -> Int[Tensor, " b"]:
    """How many of each chain's candidates to choose: this share, rounded, and at least one; none at share 0."""
    number = candidates.sum(1)
    least = number.clamp(max=1 if share > 0 else 0)
    return torch.maximum((share * number).round().long(), least)


def choose(
    log_weights: Float[Tensor, "b l"], size: Int[Tensor, " b"], draws: Draws, call: int
) -> Bool[Tensor, "b l"]:
    """`size` positions of each chain one after another without replacement, with chances in proportion to the weights.

    The positions of the largest log_weights + Gumbel noise have that distribution (Plackett-Luce); none of weight 0
    is chosen while another is left.
    """
    uniform = draws.grid(call, Purpose.GUMBEL, log_weights.shape[1])
    keys = log_weights - (-uniform.clamp(min=TINY).log()).log()
    rank = keys.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank < size[:, None]
