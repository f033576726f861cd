"""The divergence between unmasking one token at a time along an order and in uniform order.

A network has a distribution for every order, p_o(x) = prod_n p(x_o(n) | what came before), and they are one only where
its conditionals agree with each other. Both ways, on samples of the first:

    gap = E_{o, x ~ p_o, u} [log p_o(x) - log p_u(x)] = E_{o, u} KL(p_o || p_u) >= KL(p_along || p_uniform),

o along the order and u a uniform one drawn for the sample, so that -log p_u(x) is an any-order estimate; and back with
o and u exchanged. Both are 0 on a consistent network, on every sample. With two uniform orders in their place it is how
far any two orders are apart, beside which the others are read.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.divergence import features_at_count, token_log_probs
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.replay import state_at_count
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, kw_only=True)
class OrderGap:
    """Nats a sequence between an order's own distribution and the uniform order's, both ways."""

    nats: float
    """At least KL(along || uniform), on samples along the order."""
    standard_error: float
    back_nats: float
    """At least KL(uniform || along), on samples in uniform order."""
    back_standard_error: float
    samples: int
    """Each way."""
    sequences: int
    """Sequences sent through the network, those that drew the samples along the order left out."""
    uniform_nats: float | None = None
    """Between two uniform orders; None where an earlier version did not measure it."""
    uniform_standard_error: float = 0.0

    @property
    def both(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(nats, standard error) from the uniform order, and back."""
        return (self.nats, self.standard_error), (self.back_nats, self.back_standard_error)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "OrderGap":
        """JSON has no infinity: an estimate that is not finite is None there, and NaN here."""
        read: dict[str, Any] = {name: math.nan if value is None else value for name, value in record.items()}
        return OrderGap(**read)


@torch.inference_mode()
def order_gap(along: MaskedModel, uniform: MaskedModel, paths: Trajectories, seed: int) -> OrderGap:
    """The gap from paths drawn one token at a time along the first. Cost: 6 l calls a path."""
    index, length = torch.arange(len(paths), device=paths.index.device), paths.length
    others, drawn = uniform.one_at_a_time(Draws(derive_seed("uniform order", seed), index))
    fresh = Draws(derive_seed("other order", seed), index)
    shuffled, ordered = uniform.order.rank(fresh, length), along.order.rank(fresh, length)

    def nll(of: Trajectories, rank: Tensor | None) -> Float[Tensor, " b"]:
        return chain_nll(along, replace(of, rank=rank))

    out, own = nll(paths, shuffled) - nll(paths, paths.rank), nll(others, others.rank)
    back, apart = nll(others, ordered) - own, nll(others, shuffled) - own
    return OrderGap(
        nats=float(out.mean()),
        standard_error=_error(out),
        back_nats=float(back.mean()),
        back_standard_error=_error(back),
        samples=len(paths),
        sequences=drawn + 5 * length * len(paths),
        uniform_nats=float(apart.mean()),
        uniform_standard_error=_error(apart),
    )


def chain_nll(model: MaskedModel, paths: Trajectories) -> Float[Tensor, " b"]:
    """-log p(x) of each path's tokens by the chain rule along its own order, in nats. Cost: l calls a path."""
    parts = []
    for part in pieces(len(paths), model.batch):
        some = paths.select(part)
        assert some.x_end is not None
        assert some.rank is not None
        rows, places = torch.arange(len(some), device=some.x_end.device), some.rank.argsort(dim=1)
        total = torch.zeros(len(some), dtype=torch.float64, device=some.x_end.device)
        for node in range(model.length):
            n = torch.full((len(some),), model.length - node, device=some.x_end.device)
            features = features_at_count(model.backbone, state_at_count(some, n), n)
            tokens = some.x_end[rows, places[:, node]].long()
            total -= token_log_probs(model.backbone, features, (rows, places[:, node]), tokens)
        parts.append(total)
    return torch.cat(parts)


def _error(values: Float[Tensor, " b"]) -> float:
    return float(values.std() / len(values) ** 0.5)
