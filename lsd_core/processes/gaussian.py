"""The gaussian process of tauLDR: ordinal states, Gaussian-shaped rates, a wide Gaussian as prior."""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.processes.noise import Exponential, Noise, noise_from_dict

SERIES = 50.0  # expected jumps up to which a transition is a series
TABLES = "cpu"  # where the process keeps its matrices, wherever work is done


@dataclass(frozen=True)
class Gaussian:
    """States 0..num_tokens-1 in their order, such as grey levels (Campbell et al. 2022, image experiments).

    With pi_x proportional to exp(-(x + 1 - S/2)^2 / (2 prior_sigma^2)), a jump of distance d toward the
    centre that does not pass the start's mirror image has rate exp(-(d - 1)^2 / rate_sigma^2), and a jump
    away from it what detailed balance asks: pi_x Q[x, y] = pi_y Q[y, x]. So Q is similar to a symmetric
    matrix, and every transition comes from one eigendecomposition.
    """

    kind: ClassVar[str] = "gaussian"

    num_tokens: int = 256
    noise: Noise = field(default_factory=Exponential)
    rate_sigma: float = 6.0
    prior_sigma: float = 512.0

    def __post_init__(self) -> None:
        if self.num_tokens < 2:
            raise InputError("num_tokens", "be >= 2", self.num_tokens)
        for name in ("rate_sigma", "prior_sigma"):
            if not getattr(self, name) > 0:
                raise InputError(name, "be positive", getattr(self, name))

    @property
    def num_states(self) -> int:
        """Number of states, all of them tokens."""
        return self.num_tokens

    def prior_probs(self) -> Float[Tensor, " s"]:
        """pi, which Q leaves alone."""
        offset = (
            torch.arange(1, self.num_tokens + 1, dtype=torch.float64, device=TABLES) - self.num_tokens / 2
        )
        return (-(offset**2) / (2 * self.prior_sigma**2)).softmax(0)

    def rate_matrix(self) -> Float[Tensor, "s s"]:
        """Q, float64."""
        return self._rates

    @cached_property
    def _rates(self) -> Tensor:
        size, pi = self.num_tokens, self.prior_probs()
        state = torch.arange(size, device=TABLES)
        x, y = torch.meshgrid(state, state, indexing="ij")
        up = (x < size // 2) & (y > x) & (y < size - x)
        down = (x > size // 2) & (y < x) & (y > size - 1 - x)
        distance = (x - y).abs().double()
        inward = torch.where(up | down, torch.exp(-((distance - 1) ** 2) / self.rate_sigma**2), 0.0)
        outward = inward.T * pi[None, :] / pi[:, None]
        rates = torch.where(inward.T > 0, outward, inward)
        return rates - torch.diag(rates.sum(1))

    @cached_property
    def _fastest(self) -> float:
        return float(-self._rates.diagonal().min())

    @cached_property
    def _spectrum(self) -> tuple[Tensor, Tensor, Tensor]:
        """Eigenvalues, left factor and right factor: Q = left diag(eigenvalues) right."""
        root = self.prior_probs().sqrt()
        symmetric = root[:, None] * self._rates / root[None, :]
        values, vectors = torch.linalg.eigh((symmetric + symmetric.T) / 2)
        return values.clamp(max=0), vectors / root[:, None], vectors.T * root[None, :]

    def transition(self, growth: float) -> Float[Tensor, "s s"]:
        """exp(growth Q), float64; growth may be negative, and then is as ill-conditioned as it is.

        Short growths make some entries tiny, and scores divide by them: a series of nothing but positive terms
        keeps every digit. Long ones come from the spectrum.
        """
        if 0 <= growth * self._fastest <= SERIES:
            return _series(self, growth)
        values, left, right = self._spectrum
        return (left * torch.exp(growth * values)) @ right

    def rates_into(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[y, x_i] for every y."""
        return self._rates.T.to(x.device)[x]

    def rates_from(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[x_i, y] for every y."""
        return self._rates.to(x.device)[x]

    def transition_into(self, x: Int[Tensor, "b l"], growth: float) -> Float[Tensor, "b l s"]:
        """exp(growth Q)[y, x_i] for every y."""
        return self.transition(growth).T.to(x.device)[x]

    def stagger(self, score: Float[Tensor, "b l s"], growth: float) -> Float[Tensor, "b l s"]:
        """score exp(-growth Q)."""
        return score.double() @ self.transition(-growth).to(score.device)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "num_tokens": self.num_tokens,
            "noise": self.noise.to_dict(),
            "rate_sigma": self.rate_sigma,
            "prior_sigma": self.prior_sigma,
        }

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "Gaussian":
        if record.get("kind") != Gaussian.kind:
            raise InputError("process.kind", "be 'gaussian'", record.get("kind"))
        return Gaussian(
            int(record["num_tokens"]),
            noise_from_dict(record["noise"]),
            float(record["rate_sigma"]),
            float(record["prior_sigma"]),
        )


@lru_cache(maxsize=1024)  # samplers ask for the same few times again and again
def _series(process: Gaussian, growth: float) -> Tensor:
    """exp(growth Q) as Poisson numbers of jumps of I + Q / fastest (uniformisation): all terms positive."""
    mean = growth * process._fastest
    stay = torch.eye(process.num_tokens, dtype=torch.float64, device=TABLES)
    jump = stay + process._rates / process._fastest
    term = math.exp(-mean) * stay
    total = term.clone()
    for number in range(1, int(mean + 8 * math.sqrt(mean)) + process.num_tokens):
        term = term @ jump * (mean / number)
        total += term
    return total
