"""The absorbing process: every token jumps to MASK at rate(t) and stays there."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.processes.noise import LogLinear, Noise, noise_from_dict


@dataclass(frozen=True)
class Absorbing:
    """Tokens 0..num_tokens-1 and a MASK state of index num_tokens (SEDD Eq. 16; RADD Eq. 2.1).

    A token is masked at time t with chance 1 - alpha(t). Given the data, a masked token is revealed when
    the reverse chain steps from t down to s with chance (alpha(s) - alpha(t)) / (1 - alpha(t)).
    """

    kind: ClassVar[str] = "absorbing"

    num_tokens: int
    noise: Noise = field(default_factory=LogLinear)

    def __post_init__(self) -> None:
        if self.num_tokens < 2:
            raise InputError("num_tokens", "be >= 2", self.num_tokens)

    @property
    def num_states(self) -> int:
        """Number of states, the mask included."""
        return self.num_tokens + 1

    @property
    def mask(self) -> int:
        """Index of the MASK state."""
        return self.num_tokens

    def prior(self, num_samples: int, length: int, device: torch.device | str = "cpu") -> Tensor:
        """The state at t = 1, (num_samples, length): all MASK."""
        return torch.full((num_samples, length), self.mask, dtype=torch.long, device=device)

    def reveal_chance(self, t: Tensor, s: Tensor) -> Tensor:
        """Chance that a token masked at t is revealed in [s, t], in [0, 1].

        For log-linear noise this is (t - s) / t whatever eps is, which also is Euler's rate(t) (t - s)
        alpha / (1 - alpha): on this process Euler and Tweedie tau-leaping have one kernel.
        """
        if isinstance(self.noise, LogLinear):
            return (t - s) / t
        alpha_t, alpha_s = self.noise.alpha(t), self.noise.alpha(s)
        return (alpha_s - alpha_t) / (1 - alpha_t)

    def score_scale(self, t: Tensor) -> Tensor:
        """alpha / (1 - alpha): a masked token's concrete score is this times its x0 distribution (RADD, Theorem 1)."""
        alpha = self.noise.alpha(t)
        return alpha / (1 - alpha)

    def rate_matrix(self) -> Tensor:
        """Q (num_states, num_states), Q[x, y] the rate from x to y: every token to MASK at rate 1."""
        q = torch.zeros(self.num_states, self.num_states, dtype=torch.float64)
        tokens = torch.arange(self.num_tokens)
        q[tokens, tokens] = -1.0
        q[tokens, self.mask] = 1.0
        return q

    def prior_probs(self) -> Float[Tensor, " s"]:
        """All mass on MASK."""
        return torch.eye(self.num_states, dtype=torch.float64)[self.mask]

    def transition(self, growth: float) -> Float[Tensor, "s s"]:
        """exp(growth Q), float64: a token stays with chance e^-growth; growth may be negative."""
        out = math.exp(-growth) * torch.eye(self.num_states, dtype=torch.float64)
        out[:, self.mask] = -math.expm1(-growth)
        out[self.mask, self.mask] = 1.0
        return out

    def rates_into(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[y, x_i] for every y; dense, for oracles and exact simulation."""
        return self.rate_matrix().T.to(x.device)[x]

    def rates_from(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[x_i, y] for every y."""
        return self.rate_matrix().to(x.device)[x]

    def transition_into(self, x: Int[Tensor, "b l"], growth: float) -> Float[Tensor, "b l s"]:
        """exp(growth Q)[y, x_i] for every y."""
        return self.transition(growth).T.to(x.device)[x]

    def stagger(self, score: Float[Tensor, "b l s"], growth: float) -> Float[Tensor, "b l s"]:
        """score exp(-growth Q)."""
        return score.double() @ self.transition(-growth).to(score.device)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "num_tokens": self.num_tokens, "noise": self.noise.to_dict()}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "Absorbing":
        if record.get("kind") != Absorbing.kind:
            raise InputError("process.kind", "be 'absorbing'", record.get("kind"))
        return Absorbing(int(record["num_tokens"]), noise_from_dict(record["noise"]))
