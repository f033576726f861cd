"""What every step of every schedule would cost, from one pass over reference paths.

A step from one node to a later one uses the law that the network gives at the first: its price is the mean
of -log p(token | state at the first node), summed over the tokens that the reference path reveals in between.
One network call at each (path, node) prices all edges that leave the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.distillation.learned import Progress
from lsd_core.paths.divergence import features_at_count, token_log_probs
from lsd_core.paths.sampler_paths import Paths
from lsd_core.paths.teacher_paths import TeacherPaths


@dataclass(frozen=True, eq=False)
class EdgePrices:
    """Prices in nats of all edges over a grid of nodes, from noise (node 0) to data (the last)."""

    cost: Float[Tensor, "n n"]
    """cost[i, j], i < j: mean over the paths; the other entries are 0."""
    own: float
    """What the paths cost under the teacher's own law: each token's -log p just before its own reveal."""
    sequences: int
    """Sequences sent through the network."""


def price_counts(
    backbone: Backbone,
    paths: TeacherPaths | Paths,
    batch: int,
    *,
    pooled: bool = False,
    progress: Progress = lambda stage, share: None,
) -> EdgePrices:
    """Price the edges over mask counts; node i stands for n = l - i masked.

    On the paths of an inconsistent network a token's value knows its place in the order, so an edge sums the
    tokens that the path reveals on it. `pooled` replaces that by (n - m) H_n, H_n the mean -log p of all n
    masked tokens: the same expectation where the order is independent of the tokens (data paths, consistent
    networks), at a smaller variance.
    """
    length = paths.x_end.shape[1]
    cost = torch.zeros(length + 1, length + 1, dtype=torch.float64)
    own = 0.0
    order = paths.rank.argsort(dim=1)
    for n in range(length, 0, -1):
        hidden = paths.rank >= length - n
        for begin in range(0, len(paths), batch):
            chosen = slice(begin, begin + batch)
            nll = _negative_log_probs(backbone, paths.x_end[chosen], hidden[chosen], n)
            revealed = nll.gather(1, order[chosen])[:, length - n :].sum(0)  # in order of reveal, (n,)
            own += float(revealed[0])
            cost[length - n, length - n + 1 :] += revealed.cumsum(0)
        if pooled:
            total = cost[length - n, -1].clone()
            cost[length - n, length - n + 1 :] = total / n * torch.arange(1, n + 1)
        progress("prices", (length - n + 1) / length)
    return EdgePrices(cost / len(paths), own / len(paths), len(paths) * length)


def price_times(
    backbone: Backbone, paths: TeacherPaths, times: Sequence[float], batch: int, *, pooled: bool = False
) -> EdgePrices:
    """Price the edges over a decreasing grid of times from 1 to 0, for Bernoulli reveals.

    An edge sums the tokens revealed in (t_j, t_i]; a Bernoulli step reveals them with the teacher's own
    chance, so reveals cost nothing. `pooled` uses the expectation (t_i - t_j) / t_i times the sum over all
    masked. `own` is the price of stepping through every node, which tends to the teacher's from above.
    """
    grid = torch.tensor(times, dtype=torch.float64)
    cost = torch.zeros(len(grid), len(grid), dtype=torch.float64)
    hidden = [paths.reveal_time < t for t in times]
    for i, t in enumerate(times[:-1]):
        for begin in range(0, len(paths), batch):
            chosen = slice(begin, begin + batch)
            nll = _negative_log_probs(backbone, paths.x_end[chosen], hidden[i][chosen], t)
            if pooled:
                cost[i, i + 1 :] += nll.sum() * (t - grid[i + 1 :]) / t
                continue
            cost[i, i + 1 :] += torch.stack(
                [nll.masked_fill(hidden[j][chosen], 0.0).sum() for j in range(i + 1, len(grid))]
            )
    cost = cost / len(paths)
    return EdgePrices(cost, float(cost.diagonal(1).sum()), len(paths) * (len(grid) - 1))


def _negative_log_probs(backbone: Backbone, x_end: Tensor, hidden: Tensor, moment: int | float) -> Tensor:
    """-log p of the hidden tokens (b, l), 0 elsewhere, at a count (int) or a time (float). One call."""
    x = x_end.masked_fill(hidden, backbone.process.mask)
    if isinstance(moment, int):
        features = features_at_count(backbone, x, torch.full((len(x),), moment))
    else:
        features = backbone.features(x, torch.full((len(x),), moment, dtype=torch.float64, device=x.device))
    rows = hidden.nonzero(as_tuple=True)
    nll = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    nll[rows] = -token_log_probs(backbone, features, rows, x_end[rows])
    return nll
