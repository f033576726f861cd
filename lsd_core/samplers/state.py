"""The state of a batch of chains, and the only place where a network is called."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.randomness import Purpose, uniforms


@dataclass(frozen=True)
class Draws:
    """The uniforms of a batch: functions of (seed, trajectory, call, position, purpose)."""

    seed: int
    trajectory: Int[Tensor, " b"]

    def rows(
        self, call: int, purpose: Purpose, sample: Int[Tensor, " r"], position: Int[Tensor, " r"]
    ) -> Tensor:
        """One uniform for each row (sample, position), float64 (r,)."""
        return uniforms(self.seed, self.trajectory[sample], call, position, purpose)


@dataclass(frozen=True)
class State:
    """Tokens of b chains, and what it has cost to get here."""

    x: Int[Tensor, "b l"]
    calls: Int[Tensor, " b"]
    """Network calls each chain has paid for."""
    features: Tensor | None = None
    """Output of the last call (b, l, d), while it is still of use."""
    fresh: Bool[Tensor, " b"] | None = None
    """Which chains' features still describe their x (time-free backbones only)."""
    given: Bool[Tensor, "b l"] | None = None
    """Which tokens were given and stay as they are, whatever a step draws."""

    def moved(self, x: Tensor, backbone: Backbone) -> "State":
        """The state after a step; on a time-free backbone an unchanged chain keeps its features."""
        if self.given is not None:
            x = torch.where(self.given, self.x, x)
        if self.fresh is None:
            return replace(self, x=x)
        return replace(self, x=x, fresh=self.fresh & (x == self.x).all(dim=1))


def start(
    backbone: Backbone,
    num_chains: int,
    device: torch.device | str = "cpu",
    given: Int[Tensor, " l"] | None = None,
) -> State:
    """All chains at t = 1, the prior with the `given` tokens in place; no call paid yet."""
    x = backbone.process.prior(num_chains, backbone.length, device)
    kept = None
    if given is not None:
        x = given.to(device).repeat(num_chains, 1)
        kept = x != backbone.process.mask
    return State(x=x, calls=torch.zeros(num_chains, dtype=torch.long, device=device), given=kept)


def call(
    backbone: Backbone, state: State, t: Float[Tensor, " b"], wanted: Bool[Tensor, " b"] | None = None
) -> tuple[Tensor, State]:
    """Features (b, l, d) at (x, t), and the state that has paid for them.

    Chains with nothing masked, chains not `wanted`, and on time-free backbones chains that have not changed
    are not sent through the network and not charged; their features may be anything.
    """
    masked = (state.x == backbone.process.mask).any(dim=1)
    needed = masked if wanted is None else masked & wanted
    fresh = torch.zeros_like(masked) if state.fresh is None else state.fresh
    needed = needed & ~fresh
    if not bool(needed.any()):  # nobody asks: the empty features are read by no one
        return state.x.new_zeros(*state.x.shape, 0) if state.features is None else state.features, state
    if bool(needed.all()):
        features = backbone.features(state.x, t)
    else:
        index = needed.nonzero()[:, 0]
        part = backbone.features(state.x[index], t[index])
        old = part.new_zeros(len(t), *part.shape[1:]) if state.features is None else state.features
        features = old.index_copy(0, index, part)
    state = replace(state, calls=state.calls + needed)
    if backbone.time_free:
        state = replace(state, features=features, fresh=fresh | needed)
    return features, state


def times(state: State, t: float) -> Float[Tensor, " b"]:
    """The same time for every chain."""
    return torch.full((len(state.x),), t, dtype=torch.float64, device=state.x.device)
