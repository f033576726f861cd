"""Conditional entropies that the network reports along reference paths, count by count.

H_n is the entropy of the token that comes next when n are masked, as the network predicts it there: the mean over all
n masked positions where the order is uniform, else the one at the position that is next. For a consistent network
H_1 + .. + H_n is H(x_0 | x) at states x with n masked, by the chain rule.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.paths.divergence import features_at_count, row_chunks
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.masked_terms import next_at_count
from lsd_core.paths.model import Progress, silent
from lsd_core.samplers.adaptive import entropies
from lsd_core.samplers.categorical import pieces
from lsd_core.trajectories.replay import state_at_count
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, eq=False)
class ReportedEntropies:
    """Entropies of the next token, path by path."""

    nats: Float[Tensor, "b l"]
    """[b, i]: with n = l - i masked, so noise comes first."""
    sequences: int
    """Sequences sent through the network."""

    @property
    def mean(self) -> Float[Tensor, " l"]:
        """H_l .. H_1."""
        return self.nats.mean(0)


@torch.inference_mode()
def reported_entropies(
    model: MaskedModel, paths: Trajectories, progress: Progress = silent
) -> ReportedEntropies:
    """Entropies along paths that unmask one token at a time in the model's order. Cost: l calls a path."""
    length, backbone = model.length, model.backbone
    nats = torch.zeros(len(paths), length, dtype=torch.float64)
    for node in range(length):
        for part in pieces(len(paths), model.batch):
            some = paths.select(part)
            n = torch.full((len(some),), length - node)
            features = features_at_count(backbone, state_at_count(some, n), n)
            where = next_at_count(some, n, model.order)
            for b, i in row_chunks(where, backbone.process.num_tokens):
                log_probs = head_rows(backbone, features[b, i]).double().log_softmax(-1)
                nats[part, node].index_add_(0, b, entropies(log_probs))
            nats[part, node] /= where.sum(1)
        progress("entropies", (node + 1) / length)
    return ReportedEntropies(nats, len(paths) * length)
