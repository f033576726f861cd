"""Predictions and kernels of masked processes, kept where they are needed: at the masked rows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.numerics.ranks import ranks
from lsd_core.samplers.categorical import (
    FUSED_HEAD_ELEMENTS,
    HEAD_ELEMENTS,
    draw_power,
    fused_draw,
    fuses,
    pieces,
    rows_of,
)
from lsd_core.samplers.grouped import head_of
from lsd_core.samplers.kernel import ONCE, Kernel, TokenUniforms
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step


@runtime_checkable
class Tokens(Protocol):
    """Token distributions of a step's rows, computed for the indices (k,) that are asked for."""

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        """Log-probabilities, float64."""
        ...

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """One token from each distribution."""
        ...


def masked_rows(backbone: Backbone, x: Int[Tensor, "b l"]) -> tuple[Tensor, Tensor]:
    """Chain and position (r,), (r,) of every masked token."""
    sample, position = (x == backbone.process.mask).nonzero(as_tuple=True)
    return sample, position


@dataclass(frozen=True, eq=False)
class X0Tokens:
    """The network's x0 distributions at some rows, to a power and normalised; the head runs on what is asked for."""

    backbone: Backbone
    features: Tensor  # (b, l, d); read at the rows that are asked for
    rows: tuple[Tensor, Tensor]
    power: float = 1.0

    def log_weights(self, chosen: Int[Tensor, " k"], checked: bool = True) -> Float[Tensor, "k v"]:
        """The head's output, in its own precision."""
        sample, position = self.rows[0][chosen], self.rows[1][chosen]
        return head_of(self.backbone, sample, self.features[sample, position], checked)

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        return (self.power * self.log_weights(chosen).double()).log_softmax(-1)

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """Exact, from the head's output as it is: no probabilities are ever written out."""
        num_tokens = self.backbone.process.num_tokens
        if not fuses(self.features.device, self.power):
            return _draw_in_pieces(self.log_weights, self.power, chosen, uniform, num_tokens)
        size = rows_of(FUSED_HEAD_ELEMENTS, num_tokens)
        drawn = [
            fused_draw(self.log_weights(chosen[part], checked=False), self.power, uniform[part])
            for part in pieces(len(chosen), size)
        ]
        token = drawn[0] if len(drawn) == 1 else torch.cat(drawn) if drawn else chosen
        # The kernel has seen what `log_weights` checks in a pass of its own.
        if len(token) and int(token.min()) < 0:
            self.log_weights(chosen[token < 0][:size])
        return token


@dataclass(frozen=True, eq=False)
class ComputedTokens:
    """Distributions that a method computes from more than one prediction."""

    log_probs: Callable[[Tensor], Tensor]
    num_tokens: int

    def __call__(self, chosen: Int[Tensor, " k"]) -> Float[Tensor, "k v"]:
        return self.log_probs(chosen)

    def draw(self, chosen: Int[Tensor, " k"], uniform: Float[Tensor, " k"]) -> Int[Tensor, " k"]:
        """Exact, some rows at a time."""
        return _draw_in_pieces(self.log_probs, 1.0, chosen, uniform, self.num_tokens)


@dataclass(frozen=True, eq=False)
class MaskedPrediction:
    """Features of one network call, and the masked rows of x where the head turns them into x0 distributions."""

    draws_a_step: ClassVar[int] = 1
    """How far the numbers of a step's draws go on; tokens at rest depend on them."""
    backbone: Backbone
    x: Int[Tensor, "b l"]
    features: Tensor
    power: float = 1.0
    """The gain on the log-score: x0 distributions are raised to it and normalised."""

    @staticmethod
    def of(backbone: Backbone, x: Int[Tensor, "b l"], features: Tensor, step: Step) -> "MaskedPrediction":
        """The prediction under the step's gain; one on the score changes the chance to be unmasked instead."""
        return MaskedPrediction(backbone, x, features, step.gain if step.gain_on == "log_score" else 1.0)

    @cached_property
    def rows(self) -> tuple[Tensor, Tensor]:
        return masked_rows(self.backbone, self.x)

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """Indices of the masked rows, as many at a time as the head's output may hold."""
        rows = torch.arange(len(self.rows[0]), device=self.x.device)
        return rows.split(rows_of(HEAD_ELEMENTS, self.backbone.process.num_tokens))

    @property
    def tokens(self) -> X0Tokens:
        """x0 distributions of the masked rows."""
        return X0Tokens(self.backbone, self.features, self.rows, self.power)

    def at(self, x: Int[Tensor, "b l"]) -> "MaskedPrediction":
        """The same call's features, read at the masked rows of other tokens."""
        return replace(self, x=x)

    def kernel_at_end(self, step: Step) -> None:
        """None: a method's own last step unmasks all that is left."""

    def unmask(
        self, step: Step, chance: float, tokens: Tokens | None = None, order: Order = UNIFORM
    ) -> "MaskedKernel":
        """Unmask with this chance each or, on a grid of counts, the step's quota in this order."""
        rows, device = self.rows, self.x.device
        kernel = MaskedKernel(self.x, rows, tokens or self.tokens, self.backbone.process.num_tokens)
        if step.counts is not None:
            quota = torch.full((len(self.x),), step.counts[0] - step.counts[1], device=device)
            return replace(kernel, quota=quota, order=order)
        return replace(kernel, chance=torch.full((len(rows[0]),), chance, dtype=torch.float64, device=device))

    def unmask_sizes(
        self, size: Int[Tensor, " b"], keys: Float[Tensor, " r"] | None = None
    ) -> "MaskedKernel":
        """Unmask so many tokens of each chain: all subsets alike, or the rows of the smallest keys."""
        num_tokens = self.backbone.process.num_tokens
        return MaskedKernel(self.x, self.rows, self.tokens, num_tokens, quota=size, keys=keys)

    def measured(self, of_log_probs: Callable[[Tensor], Tensor]) -> Float[Tensor, " r"]:
        """A number for each masked row from its log-probabilities (k, v), some rows at a time."""
        return torch.cat([of_log_probs(self.tokens(part)) for part in self.parts])


@dataclass(frozen=True, eq=False)
class MaskedKernel(Kernel):
    """A step of a masked process: which masked tokens are unmasked, and to what.

    Either every masked token is unmasked independently with its `chance` (r,), or exactly `quota` (b,) masked
    tokens of each chain are: the first of them by their `keys` or in the trajectory's `order`, by default all
    subsets alike. Row i,
    if it is unmasked, has the distribution `tokens(i)`; which rows are unmasked is decided first, and
    distributions are computed for those alone.
    """

    x: Int[Tensor, "b l"]
    rows: tuple[Tensor, Tensor]
    tokens: Tokens
    num_tokens: int
    chance: Float[Tensor, " r"] | None = None
    quota: Int[Tensor, " b"] | None = None
    order: Order = UNIFORM
    keys: Float[Tensor, " r"] | None = None
    """Keys that the rows are unmasked by, smallest first, in place of the order's (adaptive samplers)."""

    def marginal_chance(self) -> Float[Tensor, " r"]:
        """Chance of each masked row to be unmasked, whatever the scheme; its order must be exchangeable.

        In another one it depends on the trajectory's own order, and so on more than the tokens.
        """
        if self.chance is not None:
            return self.chance
        assert self.quota is not None
        if self.keys is not None:
            return self._first(self.keys).double()
        if not self.order.exchangeable:
            rule = "be exchangeable, to have a kernel given the tokens alone"
            raise InputError("order", rule, self.order.name)
        masked = torch.bincount(self.rows[0], minlength=len(self.quota)).double()
        return (self.quota / masked.clamp(min=1))[self.rows[0]]

    @cached_property
    def probs(self) -> Float[Tensor, "b l s"]:  # type: ignore[override]  # computed when first read
        """Marginal probabilities of each token after the step, mask included, float64: for small chains."""
        probs = torch.zeros(*self.x.shape, self.num_tokens + 1, dtype=torch.float64)
        probs.scatter_(-1, self.x[..., None], 1.0)
        chance = self.marginal_chance()[:, None]
        tokens = self.tokens(torch.arange(len(chance))).exp()
        probs[self.rows] = torch.cat([chance * tokens, 1 - chance], dim=-1)
        return probs

    def choose(self, draws: Draws, call: int) -> Bool[Tensor, " r"]:
        """Which rows are unmasked."""
        if self.chance is not None:
            return draws.at(call, Purpose.REVEAL, self.rows, self.x.shape[1]) < self.chance
        assert self.quota is not None
        # A trajectory keeps one order of its positions for all its steps; all orders alike, each of its steps
        # unmasks a uniform subset.
        if self.keys is not None:
            return self._first(self.keys)
        length = self.x.shape[1]
        return self._first(draws.keys(self.order, length, lambda: self.order.keys(draws, length))[self.rows])

    def _first(self, keys: Float[Tensor, " r"]) -> Bool[Tensor, " r"]:
        """Which rows have the `quota` smallest keys of their chain; equal keys go by position."""
        assert self.quota is not None
        priority = torch.full(self.x.shape, torch.inf, dtype=torch.float64, device=self.x.device)
        priority[self.rows] = keys
        return (ranks(priority, 1) < self.quota[:, None])[self.rows]

    def draw(self, draws: Draws, call: int, tokens: TokenUniforms = ONCE) -> Int[Tensor, "b l"]:
        """The tokens after the step; a method that may draw a token again names other uniforms for it."""
        chosen = self.choose(draws, call).nonzero()[:, 0]
        if len(chosen) == 0:
            return self.x
        unmasked = (self.rows[0][chosen], self.rows[1][chosen])
        purpose, number = tokens
        uniform = draws.at(number, purpose, unmasked, self.x.shape[1])
        return self.x.index_put(unmasked, self.tokens.draw(chosen, uniform))


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
