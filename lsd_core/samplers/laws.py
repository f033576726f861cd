"""Laws of one step, kept where they are needed: at the masked rows.

A law is computed without randomness and drawn from without a network: `dense` shows it as a table that an
oracle can check, `draw` turns uniforms into tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.categorical import HEAD_ELEMENTS, draw_power, pieces, rows_of
from lsd_core.samplers.grouped import head_of
from lsd_core.samplers.order import UNIFORM, Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step


@runtime_checkable
class TokenLaw(Protocol):
    """Laws of a step's rows, asked for by their indices (k,)."""

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        """Log-probabilities, float64."""
        ...

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """One token from each law."""
        ...


def masked_rows(backbone: Backbone, x: Int[Tensor, "b l"]) -> tuple[Tensor, Tensor]:
    """Chain and position (r,), (r,) of every masked token."""
    sample, position = (x == backbone.process.mask).nonzero(as_tuple=True)
    return sample, position


@dataclass(frozen=True, eq=False)
class X0Law:
    """The network's x0 laws at some rows, to a power and normalised; the head runs on what is asked for."""

    backbone: Backbone
    features: Tensor  # (b, l, d); read at the rows that are asked for
    rows: tuple[Tensor, Tensor]
    power: float = 1.0

    def log_weights(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        """What the head says, in its own precision."""
        sample, position = self.rows[0][chosen], self.rows[1][chosen]
        return head_of(self.backbone, sample, self.features[sample, position])

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        return (self.power * self.log_weights(chosen).double()).log_softmax(-1)

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """Exact, from the head's output as it is: no law is ever written out."""
        num_tokens = self.backbone.process.num_tokens
        return _draw_in_pieces(self.log_weights, self.power, chosen, uniform, num_tokens)


@dataclass(frozen=True, eq=False)
class ComputedLaw:
    """Laws that a method computes from more than one look at the network."""

    log_probs: Callable[[Tensor], Tensor]
    num_tokens: int

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        return self.log_probs(chosen)

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """Exact, some rows at a time."""
        return _draw_in_pieces(self.log_probs, 1.0, chosen, uniform, self.num_tokens)


def token_law(backbone: Backbone, x: Int[Tensor, "b l"], features: Tensor, step: Step) -> X0Law:
    """The x0 law of the masked rows of x, raised to the power of a `log_score` gain and normalised."""
    power = step.gain if step.gain_on == "log_score" else 1.0
    return X0Law(backbone, features, masked_rows(backbone, x), power)


@dataclass(frozen=True)
class RevealLaw:
    """A step of the absorbing chain: which masked tokens are revealed, and to what.

    Either every masked token is revealed independently with its `chance` (r,), or exactly `quota` (b,) masked
    tokens of each chain are: the first of them in the trajectory's `order`, by default all subsets alike. Given
    that it is revealed, row i has the law `tokens(i)`; which rows are revealed is decided first, and the law is
    asked for those alone.
    """

    x: Int[Tensor, "b l"]
    rows: tuple[Tensor, Tensor]
    tokens: TokenLaw
    num_tokens: int
    chance: Float[Tensor, " r"] | None = None
    quota: Int[Tensor, " b"] | None = None
    order: Order = UNIFORM

    def marginal_chance(self) -> Float[Tensor, " r"]:
        """Chance of each masked row to be revealed, whatever the scheme; its order must be exchangeable.

        In another one it depends on the trajectory's own order, and so on more than the tokens.
        """
        if self.chance is not None:
            return self.chance
        assert self.quota is not None
        if not self.order.exchangeable:
            raise InputError(
                "order", "be exchangeable, to have a law given the tokens alone", self.order.name
            )
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
        if self.chance is not None:
            return draws.at(step, Purpose.REVEAL, self.rows, self.x.shape[1]) < self.chance
        assert self.quota is not None
        # A trajectory keeps one order of its positions for all its steps; all orders alike, each of its steps
        # reveals a uniform subset.
        priority = torch.full(self.x.shape, 2.0, dtype=torch.float64, device=self.x.device)
        priority[self.rows] = self.order.keys(draws, self.x.shape[1])[self.rows]
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
        revealed = (self.rows[0][chosen], self.rows[1][chosen])
        token = self.tokens.draw(chosen, draws.at(token_call, purpose, revealed, self.x.shape[1]))
        return self.x.index_put(revealed, token)


def _draw_in_pieces(
    log_weights: Callable[[Tensor], Tensor],
    power: float,
    chosen: Int[Tensor, " k"],
    uniform: Float[Tensor, " k"],
    num_tokens: int,
) -> Int[Tensor, " k"]:
    """Draw the chosen rows; no more of their weights exist at once than a piece holds."""
    size = rows_of(HEAD_ELEMENTS, num_tokens)
    parts = pieces(len(chosen), size)
    drawn = [draw_power(log_weights(chosen[part]), power, uniform[part]) for part in parts]
    return torch.cat(drawn) if drawn else chosen


def reveal_law(
    backbone: Backbone,
    x: Int[Tensor, "b l"],
    tokens: TokenLaw,
    step: Step,
    chance: float,
    order: Order = UNIFORM,
) -> RevealLaw:
    """The law of a step with these token laws: on a grid of counts its quota in this order, otherwise this chance."""
    rows = masked_rows(backbone, x)
    num_tokens = backbone.process.num_tokens
    if step.counts is not None:
        quota = torch.full((len(x),), step.counts[0] - step.counts[1], device=x.device)
        return RevealLaw(x, rows, tokens, num_tokens, quota=quota, order=order)
    chances = torch.full((len(rows[0]),), chance, dtype=torch.float64, device=x.device)
    return RevealLaw(x, rows, tokens, num_tokens, chance=chances)
