"""What a selection of drawn tokens adds to the probability of a step: positions chosen by the tokens drawn there.

At a state every masked position j draws X_j from q_j, and the k whose q_j(X_j) is largest stay; ties go by position.
With c the smallest q_i(x_i) of a set S of k, the others must all have drawn something less likely, so that

    Q(S, x_S) = prod_{i in S} q_i(x_i) * prod_{j not in S} P(q_j(X_j) < c),

known without a sum over draws. A reference that chooses S before it sees a token needs a distribution r(S): that of the
same selection with each q_j(X_j) rounded down to one of `BINS` classes of its logit. It is normalised whatever the
classes, and known from a sum over the least class in S and the position that has it. The finer the classes, the nearer
is r to the marginal of Q, which is the best there is.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.paths.divergence import token_log_probs
from lsd_core.samplers.masked import MaskedPrediction

BINS = 256  # classes of the probability of a drawn token
WIDEST = 14.0  # their logits lie between minus and plus this


def log_selection(
    seen: MaskedPrediction, kept: Bool[Tensor, "b l"], tokens: Int[Tensor, "b l"]
) -> Float[Tensor, " b"]:
    """log Q(S, x_S) - sum_{i in S} log q_i(x_i) - log r(S), for sets `kept` of each chain; all have as many masked."""
    sample, position = seen.rows
    inside = kept[seen.rows]
    log_p = torch.full(kept.shape, torch.inf, dtype=torch.float64, device=kept.device)
    rows = (sample[inside], position[inside])
    log_p[rows] = token_log_probs(seen.backbone, seen.features, rows, tokens[rows], seen.power)
    least = log_p.min(dim=1).values
    place = torch.arange(kept.shape[1], device=kept.device)
    last = (
        torch.where(log_p == least[:, None], place, -1).max(dim=1).values
    )  # it loses a tie to those before it
    histogram = torch.zeros(len(sample), BINS, dtype=torch.float64, device=kept.device)
    beaten = torch.zeros(len(sample), dtype=torch.float64, device=kept.device)
    for part in seen.parts:
        log_q = seen.tokens(part)
        histogram[part] = histogram[part].scatter_add(1, classes_of(log_q), log_q.exp())
        bound, tied = least[sample[part], None], position[part] > last[sample[part]]
        below = (log_q < bound) | ((log_q == bound) & tied[:, None])
        beaten[part] = torch.where(below, log_q.exp(), 0.0).sum(1)
    others = torch.where(inside, 0.0, beaten.log())
    total = torch.zeros(len(kept), dtype=torch.float64, device=kept.device).index_add(0, sample, others)
    return total - log_set(histogram.view(len(kept), -1, BINS), inside.view(len(kept), -1))


def classes_of(log_q: Float[Tensor, "r v"]) -> Int[Tensor, "r v"]:
    """Class of each token's probability: never decreasing in it."""
    logit = log_q - torch.log1p(-log_q.exp().clamp(max=1 - 1e-12))
    share = (logit.clamp(-WIDEST, WIDEST) + WIDEST) / (2 * WIDEST)
    return (share * BINS).long().clamp(max=BINS - 1)


def log_set(histogram: Float[Tensor, "b n g"], kept: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """log r(S): the positions in S have the highest classes, the first of equals first.

    Let i in S be the last of its members by this ranking, at class g: members before i have a class >= g, members after
    it > g, the others before it < g and after it <= g.
    """
    above = histogram.flip(2).cumsum(2).flip(2)  # P(class >= g)
    up_to = histogram.cumsum(2)  # P(class <= g)
    inside = kept[..., None]
    before = torch.where(inside, above, up_to - histogram).clamp(min=0).log()
    after = torch.where(inside, above - histogram, up_to).clamp(min=0).log()
    prefix = torch.nn.functional.pad(before.cumsum(1)[:, :-1], (0, 0, 1, 0))
    suffix = torch.nn.functional.pad(after.flip(1).cumsum(1).flip(1)[:, 1:], (0, 0, 0, 1))
    terms = torch.where(inside, histogram.log() + prefix + suffix, -math.inf)
    return terms.flatten(1).logsumexp(1)
