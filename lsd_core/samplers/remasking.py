"""Kernel of masked processes that unmasks masked tokens and masks others again."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.kernel import ONCE, Kernel, TokenUniforms
from lsd_core.samplers.masked import MaskedKernel
from lsd_core.samplers.state import Draws


@dataclass(frozen=True, eq=False)
class RemaskingKernel(Kernel):
    """Masked tokens are unmasked as by `unmask`, the others masked again with a chance."""

    unmask: MaskedKernel
    remask_chance: float | Float[Tensor, "b l"]

    @cached_property
    def probs(self) -> Float[Tensor, "b l s"]:  # type: ignore[override]  # computed when first read
        """Probabilities of each token after the step, float64; positions are independent."""
        probs, kept = self.unmask.probs.clone(), self.unmask.x != self.unmask.num_tokens
        chance = torch.as_tensor(self.remask_chance, dtype=torch.float64).expand(kept.shape)[kept]
        probs[kept] *= 1 - chance[:, None]
        probs[..., -1][kept] = chance
        return probs

    def remasked(self, draws: Draws, call: int) -> Bool[Tensor, "b l"]:
        """Which unmasked tokens are masked again."""
        unmasked = self.unmask.x != self.unmask.num_tokens
        uniform = draws.grid(call, Purpose.MASK, self.unmask.x.shape[1])
        return unmasked & (uniform < self.remask_chance)

    def draw(self, draws: Draws, call: int, tokens: TokenUniforms = ONCE) -> Int[Tensor, "b l"]:
        """The tokens after the step."""
        x = self.unmask.draw(draws, call, tokens)
        return torch.where(self.remasked(draws, call), self.unmask.num_tokens, x)
