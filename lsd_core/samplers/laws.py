"""Laws of one step, kept where they are needed: at the masked rows.

A law is computed without randomness and drawn from without a network: `dense` shows it as a table that an
oracle can check, `draw` turns uniforms into tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.randomness import Purpose
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step

TokenLaw = Callable[[Tensor], Tensor]  # chosen rows' indices (k,) -> log-probabilities (k, v), float64


def masked_rows(backbone: Backbone, x: Int[Tensor, "b l"]) -> tuple[Tensor, Tensor]:
    """Chain and position (r,), (r,) of every masked token."""
    sample, position = (x == backbone.process.mask).nonzero(as_tuple=True)
    return sample, position


def token_law(backbone: Backbone, x: Int[Tensor, "b l"], features: Tensor, step: Step) -> TokenLaw:
    """The x0 law of the masked rows of x, raised to the power of a `log_score` gain and normalised."""
    sample, position = masked_rows(backbone, x)
    power = step.gain if step.gain_on == "log_score" else 1.0

    def tokens(chosen: Tensor) -> Tensor:
        log_weight = backbone.head(features[sample[chosen], position[chosen]]).double()
        return (power * log_weight).log_softmax(-1)

    return tokens


@dataclass(frozen=True)
class RevealLaw:
    """A step of the absorbing chain: which masked tokens are revealed, and to what.

    Either every masked token is revealed independently with its `chance` (r,), or exactly `quota` (b,) masked
    tokens of each chain are, all subsets alike. Given that it is revealed, row i has the law `tokens(i)`;
    it is evaluated only on the rows that are revealed.
    """

    x: Int[Tensor, "b l"]
    rows: tuple[Tensor, Tensor]
    tokens: TokenLaw
    num_tokens: int
    chance: Float[Tensor, " r"] | None = None
    quota: Int[Tensor, " b"] | None = None

    def marginal_chance(self) -> Float[Tensor, " r"]:
        """Chance of each masked row to be revealed, whatever the scheme."""
        if self.chance is not None:
            return self.chance
        assert self.quota is not None
        masked = torch.bincount(self.rows[0], minlength=len(self.quota)).double()
        return (self.quota / masked.clamp(min=1))[self.rows[0]]

    def dense(self) -> Float[Tensor, "b l s"]:
        """Marginal law of each token after the step, mask included, float64: for oracles and small chains."""
        law = torch.zeros(*self.x.shape, self.num_tokens + 1, dtype=torch.float64)
        law.scatter_(-1, self.x[..., None], 1.0)
        chance = self.marginal_chance()[:, None]
        token_law = self.tokens(torch.arange(len(chance))).exp()
        law[self.rows] = torch.cat([chance * token_law, 1 - chance], dim=-1)
        return law

    def choose(self, draws: Draws, step: int) -> Bool[Tensor, " r"]:
        """Which rows are revealed."""
        sample, position = self.rows
        if self.chance is not None:
            return draws.rows(step, Purpose.REVEAL, sample, position) < self.chance
        assert self.quota is not None
        # A trajectory keeps one random order of its positions for all its steps: a uniform subset each time.
        priority = torch.full(self.x.shape, 2.0, dtype=torch.float64, device=self.x.device)
        priority[self.rows] = draws.rows(0, Purpose.ORDER, sample, position)
        rank = priority.argsort(dim=1, stable=True).argsort(dim=1)
        return (rank < self.quota[:, None])[self.rows]

    def draw(
        self, draws: Draws, step: int, purpose: Purpose = Purpose.TOKEN, token_call: int = 0
    ) -> Int[Tensor, "b l"]:
        """The tokens after the step.

        A position is drawn once in a trajectory, so its uniform needs no step; a method that may draw it
        again passes a `purpose` or a `token_call` of its own.
        """
        chosen = self.choose(draws, step).nonzero()[:, 0]
        if len(chosen) == 0:
            return self.x
        sample, position = self.rows[0][chosen], self.rows[1][chosen]
        token = draw_categorical(self.tokens(chosen).exp(), draws.rows(token_call, purpose, sample, position))
        x = self.x.clone()
        x[sample, position] = token
        return x


def reveal_law(
    backbone: Backbone, x: Int[Tensor, "b l"], tokens: TokenLaw, step: Step, chance: float
) -> RevealLaw:
    """The law of a step with these token laws: on a grid of counts its quota, otherwise this chance."""
    rows = masked_rows(backbone, x)
    num_tokens = backbone.process.num_tokens
    if step.counts is not None:
        quota = torch.full((len(x),), step.counts[0] - step.counts[1], device=x.device)
        return RevealLaw(x, rows, tokens, num_tokens, quota=quota)
    chances = torch.full((len(rows[0]),), chance, dtype=torch.float64, device=x.device)
    return RevealLaw(x, rows, tokens, num_tokens, chance=chances)
