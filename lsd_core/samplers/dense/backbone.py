"""A frozen network for any process: concrete scores of every state at every position."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone, log_score
from lsd_core.processes import Process

X0Law = Callable[[Tensor, Tensor], Tensor]  # tokens (b, l), times (b,) -> p(x0_i = z | x_t), (b, l, s)


@runtime_checkable
class ScoreBackbone(Protocol):
    """Scores p_t(x with token i set to y) / p_t(x), 1 at y = x_i. One network call a time."""

    @property
    def process(self) -> Process: ...
    @property
    def length(self) -> int: ...

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]: ...


@dataclass(frozen=True)
class X0Scores:
    """Scores from a network that predicts the clean token (tauLDR; Duo).

    score[i, y] = sum_z p(x0_i = z | x_t) exp(sigma_bar Q)[z, y] / exp(sigma_bar Q)[z, x_i].
    """

    process: Process
    length: int
    x0_law: X0Law

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """One network call; chains at different times are worked out one time after another."""
        law = self.x0_law(x, t).double()
        out = torch.empty_like(law)
        for time in t.unique():
            chains = t == time
            growth = float(self.process.noise.sigma_bar(time))
            onto = self.process.transition(growth).to(x.device)
            reached = self.process.transition_into(x[chains], growth)
            out[chains] = (law[chains] / reached) @ onto
        return out.scatter(-1, x[..., None], 1.0)


@dataclass(frozen=True)
class AbsorbingScores:
    """An absorbing backbone seen as one of any process, for oracles and exact simulation."""

    backbone: Backbone

    @property
    def process(self) -> Process:
        return self.backbone.process

    @property
    def length(self) -> int:
        return self.backbone.length

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """One network call, as its rows are: unnormalised ones are left so."""
        return log_score(self.backbone, x, t).exp()
