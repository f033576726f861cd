"""ReMDM: unmasked tokens are masked again with a chance, so that later steps may correct them."""

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, Backbone, absorbing
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import Abilities, check_grid
from lsd_core.samplers.remasking import RemaskingKernel
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid


@dataclass(frozen=True)
class ReMDM(Abilities):
    """Remasking chain of Wang et al. (2025, arXiv 2503.00307): the marginals of the masked process at every time.

    With a chance sigma <= min(1, (1 - alpha_s) / alpha_t) an unmasked token is masked again, and a masked one is
    unmasked with chance (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t); sigma = 0 is the ancestral step
    (`Tweedie`). The last step has sigma = 0 and unmasks what is left.

    Cost: 1 network call.
    """

    name: ClassVar[str]
    grids: ClassVar[frozenset[Grid]] = frozenset({"times"})
    eta: float = 0.02
    """Strength of the remasking; 0 is the ancestral sampler."""

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise InputError("eta", "lie in [0, 1]", self.eta)

    @abstractmethod
    def sigma(self, most: float) -> float:
        """The chance to be masked again, of at most `most`."""

    def remask(self, sigma: float, state: State) -> float | Float[Tensor, "b l"]:
        """The chance of each token to be masked again, of mean sigma."""
        return sigma

    def kernel(self, seen: MaskedPrediction, step: Step, state: State) -> RemaskingKernel:
        """The tokens after the step."""
        check_grid(self, step.grid)
        alpha_t, alpha_s = (alpha(seen.backbone, time) for time in (step.t, step.s))
        sigma = 0.0 if step.last else self.sigma(min(1.0, (1 - alpha_s) / alpha_t))
        chance = 1.0 if step.last else (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)
        gain = step.gain if step.gain_on == "score" else 1.0
        return RemaskingKernel(seen.unmask(step, min(1.0, gain * chance)), self.remask(sigma, state))

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw; a token may be drawn again, so each draw has uniforms of its own."""
        seen, state = look(absorbing(backbone, self.name), state, step.t, step)
        assert isinstance(seen, MaskedPrediction)
        x = self.kernel(seen, step, state).draw(draws, step.index, (Purpose.TOKEN, step.index))
        return state.moved(x, backbone)


@dataclass(frozen=True)
class ReMDMCap(ReMDM):
    """sigma = min(eta, its bound)."""

    name: ClassVar[str] = "remdm_cap"

    def sigma(self, most: float) -> float:
        return min(self.eta, most)


@dataclass(frozen=True)
class ReMDMRescale(ReMDM):
    """sigma = eta times its bound."""

    name: ClassVar[str] = "remdm_rescale"

    def sigma(self, most: float) -> float:
        return self.eta * most


@dataclass(frozen=True)
class ReMDMLoop(ReMDMCap):
    """Ancestral steps down to `hold`, remasking there at equal alpha, ancestral steps to the end.

    The table's time runs through three phases: from 1 to `on` the process goes down to `hold`, from `on` to `off`
    it stays and tokens are masked again with chance sigma, from `off` to 0 it goes to the end.
    """

    name: ClassVar[str] = "remdm_loop"
    on: float = 0.45
    """Time of the table at which remasking begins."""
    off: float = 0.05
    """Time of the table at which it ends."""
    hold: float = 0.1
    """Time of the process meanwhile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 > self.on > self.off > 0:
            raise InputError("on, off", "satisfy 1 > on > off > 0", (self.on, self.off))
        if not 0 < self.hold < 1:
            raise InputError("hold", "lie in (0, 1)", self.hold)

    def time(self, t: float) -> float:
        """Time of the process at time t of the table."""
        if t >= self.on:
            return self.hold + (1 - self.hold) * (t - self.on) / (1 - self.on)
        return self.hold if t >= self.off else self.hold * t / self.off

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        return super().step(backbone, state, replace(step, t=self.time(step.t), s=self.time(step.s)), draws)

    def kernel(self, seen: MaskedPrediction, step: Step, state: State) -> RemaskingKernel:
        still = math.isclose(step.t, step.s)
        return super().kernel(seen, step, state) if still else ReMDMCap(0.0).kernel(seen, step, state)


@dataclass(frozen=True)
class ReMDMConfidence(ReMDMCap):
    """sigma of `ReMDMCap` times softmax(-p) over the unmasked tokens, p a token's probability when it was drawn.

    Softmax sums to 1, so on average a chain masks sigma tokens again, the least certain ones first.
    """

    name: ClassVar[str] = "remdm_confidence"

    def remask(self, sigma: float, state: State) -> float | Float[Tensor, "b l"]:
        if state.memory is None:
            return sigma
        return sigma * (-state.memory).softmax(dim=1).nan_to_num(0.0)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """Beside the draw, note the probability of each new token; masked positions hold +inf."""
        mask = absorbing(backbone, self.name).process.mask
        memory = (
            torch.where(state.x == mask, torch.inf, 1.0).double() if state.memory is None else state.memory
        )
        state = replace(state, memory=memory)
        seen, state = look(backbone, state, step.t, step)
        assert isinstance(seen, MaskedPrediction)
        kernel = self.kernel(seen, step, state)
        state = state.moved(kernel.draw(draws, step.index, (Purpose.TOKEN, step.index)), backbone)
        memory = torch.where(state.x == mask, torch.inf, memory)
        new = (state.x != mask)[seen.rows].nonzero()[:, 0]
        if len(new) > 0:
            rows = (seen.rows[0][new], seen.rows[1][new])
            probs = seen.tokens(new).exp().gather(-1, state.x[rows][:, None])[:, 0]
            memory = memory.index_put(rows, probs)
        return replace(state, memory=memory)


def alpha(backbone: Backbone, t: float) -> float:
    """exp(-sigma_bar(t)), the share of tokens that are not masked at time t; 1 at t = 0, with the final denoise."""
    sigma_bar = backbone.process.noise.sigma_bar(torch.tensor(t, dtype=torch.float64))
    return 1.0 if t == 0 else float(torch.exp(-sigma_bar))
