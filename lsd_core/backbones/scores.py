"""Concrete scores of every state at every position, for backbones of any process."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.processes import Process, Uniform


@runtime_checkable
class ScoreBackbone(Protocol):
    """Scores p_t(x with token i set to y) / p_t(x), 1 at y = x_i. One network call a time."""

    @property
    def process(self) -> Process: ...
    @property
    def length(self) -> int: ...

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]: ...


@runtime_checkable
class X0Backbone(ScoreBackbone, Protocol):
    """One that predicts the clean token (tauLDR; Duo): its scores follow from it, and samplers prefer it."""

    def x0_probs(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """p(x0_i = z | x_t). One network call."""
        ...


def scores_at_times(
    process: Process, x: Int[Tensor, "b l"], x0: Float[Tensor, "b l s"], t: Float[Tensor, " b"]
) -> Float[Tensor, "b l s"]:
    """`scores_of_x0` for chains at times of their own."""
    if isinstance(process, Uniform):
        return scores_of_x0(process, x, x0, process.noise.sigma_bar(t)[:, None, None])
    out = torch.empty_like(x0, dtype=torch.float64)
    for time in t.unique():
        chains = t == time
        out[chains] = scores_of_x0(process, x[chains], x0[chains], float(process.noise.sigma_bar(time)))
    return out


def scores_of_x0(
    process: Process, x: Int[Tensor, "b l"], x0: Float[Tensor, "b l s"], sigma_bar: float | Tensor
) -> Float[Tensor, "b l s"]:
    """score[i, y] = sum_z p(x0_i = z | x_t) exp(sigma_bar Q)[z, y] / exp(sigma_bar Q)[z, x_i]; 1 at y = x_i."""
    reached = process.transition_into(x, sigma_bar)
    score = process.stagger(x0.double() / reached.clamp(min=1e-300), -sigma_bar).clamp(min=0)
    return score.scatter(-1, x[..., None], 1.0)
