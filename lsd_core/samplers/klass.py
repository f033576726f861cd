"""KLASS: unmask the positions that are sure enough, and whose prediction no longer changes."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.errors import InputError
from lsd_core.samplers.conditional import Conditioned
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import check_grid
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.threshold import Threshold


@dataclass(frozen=True)
class Klass(Threshold):
    """All positions with confidence >= tau and KL(p_now || p_last call) <= eps, at least one (arXiv 2511.05664).

    Of the first call no position is settled. Cost: 1 network call, and the head twice on all masked rows.
    """

    name: ClassVar[str] = "klass"
    eps: float = 0.01
    """Largest divergence in nats of a position's prediction from that of the call before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.eps < float("inf"):
            raise InputError("eps", "be >= 0 and finite", self.eps)

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call, one draw; the features of the call are kept for the next step."""
        check_grid(self, step.grid)
        masked = Conditioned(absorbing(backbone, self.name))
        if not bool((state.x == masked.process.mask).any()):
            return state
        seen, state = look(masked, state, step.t, step)
        assert isinstance(seen, MaskedPrediction)
        doubts, size = self.doubts(seen), torch.full((len(seen.x),), seen.x.shape[1], device=seen.x.device)
        if not step.last:
            ready = self.of_step(step).allowed(seen, doubts) & settled(seen, state.memory, self.eps)
            size = torch.bincount(seen.rows[0][ready], minlength=len(seen.x)).clamp(min=1)
            doubts = torch.where(
                ready, doubts, doubts + 2.0
            )  # doubts lie in [-1, 0]: what is ready comes first
        x = seen.unmask_sizes(size, doubts).draw(draws, step.index)
        return replace(state.moved(x, masked), memory=seen.features)


def settled(seen: MaskedPrediction, features: Tensor | None, eps: float) -> Bool[Tensor, " r"]:
    """At which masked rows KL(now || at these earlier features) <= eps; nowhere without them."""
    if features is None:
        return torch.zeros_like(seen.rows[0], dtype=torch.bool)
    now, before = seen.tokens, replace(seen, features=features).tokens

    def divergence(part: Tensor) -> Tensor:
        log_p, log_q = now(part), before(part)
        return torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0).sum(-1)

    return torch.cat([divergence(part) for part in seen.parts]) <= eps
