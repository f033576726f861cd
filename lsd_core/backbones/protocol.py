"""Protocols of a backbone: identity, and scores or clean-token (x0) distributions at a state.

Absorbing backbones (`Backbone`) keep features and head apart, so that the vocabulary is only paid for where it
is looked at. Those of other processes (`DenseBackbone`) give every position.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import TypeIs

from lsd_core.backbones.finite import finite
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Process


@runtime_checkable
class Backbone(Protocol):
    """A frozen network for an absorbing process. `b` sequences of `l` positions over `v` tokens.

    `features` is one network call. `head` turns chosen rows of it into log-weights of the x0 distribution at those
    positions: their exponentials are p(x0_i = y | x) times a row sum S_i, which is 1 where `normalised`.
    The concrete score at a masked position is alpha / (1 - alpha) times those weights (RADD, Theorem 1).
    """

    name: str
    family: str
    process: Absorbing
    length: int
    time_free: bool  # the output does not depend on t, so an unchanged state needs no new call
    normalised: bool  # the head's rows sum to 1
    config: dict[str, Any]  # what `build` needs, beside the tensors

    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l d"]: ...

    def head(self, rows: Float[Tensor, "r d"]) -> Float[Tensor, "r v"]: ...

    def tensors(self) -> dict[str, Tensor]: ...

    @property
    def fingerprint(self) -> str: ...


@runtime_checkable
class DenseBackbone(Protocol):
    """A frozen network for a uniform or gaussian process; see `scores.X0Backbone` too."""

    name: str
    family: str
    process: Process
    length: int
    config: dict[str, Any]

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """p_t(x with token i set to y) / p_t(x), 1 at y = x_i. One network call."""
        ...

    def tensors(self) -> dict[str, Tensor]: ...

    @property
    def fingerprint(self) -> str: ...


AnyBackbone = Backbone | DenseBackbone


def is_dense(backbone: AnyBackbone) -> TypeIs[DenseBackbone]:
    """Whether the process has no mask (uniform or gaussian), so that kernels cover all positions."""
    return not isinstance(backbone.process, Absorbing)


def absorbing(backbone: AnyBackbone, what: str) -> Backbone:
    """The backbone, if it is an absorbing one; else an InputError that names `what` needs it."""
    if is_dense(backbone):
        raise InputError(what, "be given an absorbing backbone", f"a {backbone.process.kind} one")
    return backbone


def log_weights(backbone: Backbone, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
    """Log-weights of the x0 distribution at every position; meaningful where x is MASK. One network call."""
    weights = backbone.head(backbone.features(x, t).flatten(0, 1)).view(*x.shape, -1)
    finite(backbone, weights[x == backbone.process.mask])
    return weights


def log_x0(backbone: Backbone, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
    """Normalised log-probabilities of the clean token; a revealed token keeps all the mass."""
    log_p = log_weights(backbone, x, t).double().log_softmax(-1)
    kept = torch.full_like(log_p, -torch.inf).scatter(-1, x.clamp(max=log_p.shape[-1] - 1)[..., None], 0.0)
    return torch.where((x == backbone.process.mask)[..., None], log_p, kept)


def log_score(backbone: Backbone, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
    """Log of the concrete score p_t(y at i) / p_t(x), (b, l, num_states): 0 at y = x_i (SEDD Eq. 5).

    At a revealed position the only other state that can be reached backwards is none, so the rest is -inf.
    """
    process = backbone.process
    weights = log_weights(backbone, x, t).double() + process.score_scale(t).log()[:, None, None]
    masked = (x == process.mask)[..., None]
    scores = torch.where(masked, weights, torch.full_like(weights, -torch.inf))
    scores = torch.cat([scores, torch.full_like(scores[..., :1], -torch.inf)], dim=-1)
    return scores.scatter(-1, x[..., None], 0.0)
