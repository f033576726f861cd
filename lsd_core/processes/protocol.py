"""Protocol of a forward process: rates, transitions, prior."""

from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.processes.noise import Noise


@runtime_checkable
class Process(Protocol):
    """A chain with rate matrix noise.rate(t) * Q for each token; `s` stands for num_states.

    `growth` is a difference of sigma_bar: the chain's transition from s to t is exp(growth Q) with
    growth = sigma_bar(t) - sigma_bar(s). Q[x, y] is the rate from x to y.
    """

    kind: ClassVar[str]
    """Its name: `absorbing`, `uniform`, `gaussian`."""

    @property
    def noise(self) -> Noise: ...

    @property
    def num_tokens(self) -> int:
        """Clean tokens, those of finished sequences."""
        ...

    @property
    def num_states(self) -> int:
        """Tokens and, where there is one, the mask."""
        ...

    def rate_matrix(self) -> Float[Tensor, "s s"]:
        """Q, float64."""
        ...

    def prior_probs(self) -> Float[Tensor, " s"]:
        """Distribution of a token at t = 1."""
        ...

    def rates_into(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[y, x_i] for every y."""
        ...

    def rates_from(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l s"]:
        """Q[x_i, y] for every y."""
        ...

    def transition_into(self, x: Int[Tensor, "b l"], growth: Any) -> Float[Tensor, "b l s"]:
        """exp(growth Q)[y, x_i] for every y: the probability that each y becomes x_i."""
        ...

    def stagger(self, score: Float[Tensor, "b l s"], growth: Any) -> Float[Tensor, "b l s"]:
        """score exp(-growth Q): the ratios p_s(y) / p_t(x) from p_t(y) / p_t(x)."""
        ...

    def transition(self, growth: float) -> Float[Tensor, "s s"]:
        """exp(growth Q), float64."""
        ...

    def to_dict(self) -> dict[str, Any]: ...
