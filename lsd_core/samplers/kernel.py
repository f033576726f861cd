"""The kernel of a step: the distribution of the tokens after it, given the state before it."""

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.state import Draws

TokenUniforms = tuple[Purpose, int]
"""Purpose and call number of the uniforms that become tokens."""
ONCE: TokenUniforms = (Purpose.TOKEN, 0)
"""Those of tokens that are drawn once in a trajectory, so that their uniform needs no step."""


class Kernel(ABC):
    """A distribution that is computed without randomness and drawn from without a network."""

    probs: Float[Tensor, "b l s"]
    """Marginal probabilities of each token after the step, float64; rows sum to 1."""

    def log_prob(self, x: Int[Tensor, "b l"]) -> Float[Tensor, "b l"]:
        """Log of the marginal probability of each of the tokens x."""
        return self.probs.gather(-1, x[..., None])[..., 0].log()

    @abstractmethod
    def draw(self, draws: Draws, call: int, tokens: TokenUniforms = ONCE) -> Int[Tensor, "b l"]:
        """The tokens after the step; `call` numbers the draw within its trajectory."""
