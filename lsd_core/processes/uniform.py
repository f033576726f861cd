"""The uniform process: every token jumps to any state at rate rate(t) / V."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.processes.noise import Geometric, Noise, noise_from_dict


@dataclass(frozen=True)
class Uniform:
    """Tokens 0..num_tokens-1 without a mask; Q = 11^T / V - I (SEDD Eq. 15, rates divided by V).

    exp(g Q) = e^-g I + (1 - e^-g) 11^T / V, so nothing here needs a V x V matrix.
    """

    kind: ClassVar[str] = "uniform"

    num_tokens: int
    noise: Noise = field(default_factory=Geometric)

    def __post_init__(self) -> None:
        if self.num_tokens < 2:
            raise InputError("num_tokens", "be >= 2", self.num_tokens)

    @property
    def num_states(self) -> int:
        """Number of states, all of them tokens."""
        return self.num_tokens

    def rate_matrix(self) -> Float[Tensor, "s s"]:
        """Q, float64."""
        v = self.num_tokens
        return torch.full((v, v), 1 / v, dtype=torch.float64) - torch.eye(v, dtype=torch.float64)

    def prior_probs(self) -> Float[Tensor, " s"]:
        """Uniform."""
        return torch.full((self.num_tokens,), 1 / self.num_tokens, dtype=torch.float64)

    def rates_into(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[y, x_i] for every y."""
        return self._mixture(x, torch.tensor(-1.0), torch.tensor(1.0))

    def rates_from(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[x_i, y] for every y; Q is symmetric."""
        return self.rates_into(x)

    def transition_into(self, x: Int[Tensor, "b l"], growth: float | Tensor) -> Float[Tensor, "b l s"]:
        """exp(growth Q)[y, x_i] for every y; a growth of shape (b, 1, 1) gives every chain its own."""
        growth = torch.as_tensor(growth, dtype=torch.float64, device=x.device)
        return self._mixture(x, torch.exp(-growth), -torch.expm1(-growth))

    def stagger(self, score: Float[Tensor, "b l s"], growth: float | Tensor) -> Float[Tensor, "b l s"]:
        """score exp(-growth Q); growth as in `transition_into`."""
        growth = torch.as_tensor(growth, dtype=torch.float64, device=score.device)
        return torch.exp(growth) * score - torch.expm1(growth) * score.mean(-1, keepdim=True)

    def transition(self, growth: float) -> Float[Tensor, "s s"]:
        """exp(growth Q), float64."""
        states = torch.arange(self.num_tokens)[None]
        return self.transition_into(states, growth)[0]

    def _mixture(self, x: Int[Tensor, "b l"], stay: Tensor, share: Tensor) -> Float[Tensor, "b l s"]:
        """stay at y = x_i, plus share / V everywhere."""
        everywhere = torch.zeros(*x.shape, self.num_tokens, dtype=torch.float64, device=x.device)
        everywhere += share.to(everywhere) / self.num_tokens
        return everywhere.scatter_add(-1, x[..., None], stay.to(everywhere).expand(*x.shape, 1))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "num_tokens": self.num_tokens, "noise": self.noise.to_dict()}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "Uniform":
        if record.get("kind") != Uniform.kind:
            raise InputError("process.kind", "be 'uniform'", record.get("kind"))
        return Uniform(int(record["num_tokens"]), noise_from_dict(record["noise"]))
