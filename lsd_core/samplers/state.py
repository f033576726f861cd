"""The state of a batch of chains: tokens, network calls, given tokens, cached features; and its random numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, is_dense
from lsd_core.numerics.randomness import Purpose, uniform_grid, uniforms
from lsd_core.processes import Process
from lsd_core.samplers.categorical import draw_categorical

EACH_STEP = (Purpose.REVEAL, Purpose.MASK)  # drawn anew at every call, so several calls are made at once
AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 18}  # least uniforms of a Philox call: fewer do not take less time


@dataclass(frozen=True)
class Draws:
    """The uniforms of a batch: functions of (seed, trajectory, call, position, purpose).

    They are computed for all positions at once, and the last ones of each purpose are cached.
    """

    seed: int
    trajectory: Int[Tensor, " b"]
    _kept: dict[Purpose, tuple[int, Tensor]] = field(default_factory=dict, compare=False, repr=False)
    _order: list[tuple[object, Tensor]] = field(default_factory=list, compare=False, repr=False)

    def at(self, call: int, purpose: Purpose, rows: tuple[Tensor, Tensor], length: int) -> Tensor:
        """One uniform for each row (sample, position) of sequences of this length, float64 (r,)."""
        return self.grid(call, purpose, length)[rows]

    def grid(self, call: int, purpose: Purpose, length: int) -> Float[Tensor, "b l"]:
        """One uniform for each position of each trajectory, float64."""
        begin, grids = self._kept.get(purpose, (0, None))
        if grids is None or grids.shape[2] != length or not begin <= call < begin + len(grids):
            device, b = self.trajectory.device, len(self.trajectory)
            least = AT_ONCE.get(device.type, AT_ONCE["cpu"]) if purpose in EACH_STEP else 1
            count = max(1, least // (b * length))
            begin = call // count * count
            calls = begin if count == 1 else torch.arange(begin, begin + count, device=device)[:, None, None]
            position = torch.arange(length, device=device)
            grids = uniforms(self.seed, self.trajectory[:, None], calls, position, purpose).view(
                count, b, length
            )
            self._kept[purpose] = (begin, grids)
        return grids[call - begin]

    def keys(self, order: object, length: int, make: Callable[[], Tensor]) -> Float[Tensor, "b l"]:
        """Keys that `make` gives for an order: computed for the first of the steps, cached for the others."""
        if not self._order or self._order[0][0] != order or self._order[0][1].shape[1] != length:
            self._order[:] = [(order, make())]
        return self._order[0][1]


@dataclass(frozen=True)
class State:
    """Tokens of b chains, and the network calls made to get here."""

    x: Int[Tensor, "b l"]
    calls: Int[Tensor, " b"]
    """Network calls of each chain (NFE)."""
    features: Tensor | None = None
    """Output of the last call (b, l, d) of a time-free network on a masked process."""
    fresh: Bool[Tensor, " b"] | None = None
    """Which chains' features still describe their x (time-free backbones only)."""
    given: Bool[Tensor, "b l"] | None = None
    """Which tokens were given and stay as they are, whatever a step draws."""
    memory: Tensor | None = None
    """What a sampler keeps from one step to the next, beside the tokens."""

    def moved(self, x: Tensor, backbone: AnyBackbone) -> "State":
        """The state after a step; on a time-free backbone an unchanged chain keeps its features."""
        if self.given is not None:
            x = torch.where(self.given, self.x, x)
        if self.fresh is None:
            return replace(self, x=x)
        return replace(self, x=x, fresh=self.fresh & (x == self.x).all(dim=1))


def start(backbone: AnyBackbone, draws: Draws, given: Int[Tensor, "*b l"] | None = None) -> State:
    """Chains at t = 1, drawn from the prior, with the `given` tokens in place; no network call yet.

    `given` is one template for all chains, or one for each.
    """
    calls = torch.zeros_like(draws.trajectory)
    if is_dense(backbone):
        return State(draw_prior(backbone.process, draws, backbone.length), calls)
    if given is None:
        return State(backbone.process.prior(len(calls), backbone.length, calls.device), calls)
    x = given.to(calls.device).expand(len(calls), -1).contiguous()
    return State(x, calls, given=x != backbone.process.mask)


def draw_prior(process: Process, draws: Draws, length: int) -> Int[Tensor, "b l"]:
    """The state at t = 1 of a full-state process, every position from the prior."""
    uniform = uniform_grid(draws.seed, draws.trajectory, 0, length, Purpose.PRIOR)
    prior = process.prior_probs().to(uniform.device).expand(uniform.numel(), -1)
    return draw_categorical(prior, uniform.flatten()).view(uniform.shape)
