"""Confidence of the drawn token: draw every masked position, keep the likeliest draws."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.numerics.randomness import Purpose
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.prediction import look
from lsd_core.samplers.protocol import Abilities, check_grid
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid


@dataclass(frozen=True)
class ConfidenceDrawn(Abilities):
    """The positions whose drawn token has the largest probability (MaskGIT; LLaDA's low-confidence remasking).

    A token is drawn at every masked position, and those of the step's quota that are likeliest stay. Which draws
    stay depends on what they are, so the output is cooled by the selection, and the certificate of the samplers that
    choose before the draw does not hold.

    Cost: 1 network call, and the head on all masked rows.
    """

    name: ClassVar[str] = "confidence_drawn"
    grids: ClassVar[frozenset[Grid]] = frozenset({"counts"})
    adaptive: ClassVar[bool] = True

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State:
        """One network call; a position is drawn anew in every step, so each has uniforms of its own."""
        check_grid(self, step.grid)
        masked = absorbing(backbone, self.name)
        seen, state = look(masked, state, step.t, step)
        assert isinstance(seen, MaskedPrediction)
        if len(seen.rows[0]) == 0:
            return state
        return state.moved(likeliest(seen, step, draws), backbone)


def likeliest(seen: MaskedPrediction, step: Step, draws: Draws) -> Int[Tensor, "b l"]:
    """The tokens after a step: of one draw at each masked position, the quota that is likeliest."""
    assert step.counts is not None
    uniform = draws.at(step.index, Purpose.TOKEN, seen.rows, seen.x.shape[1])
    token = seen.tokens.draw(torch.cat(seen.parts), uniform)
    log_p = [seen.tokens(part).gather(-1, token[part, None])[:, 0] for part in seen.parts]
    quota = torch.full((len(seen.x),), step.counts[0] - step.counts[1], device=seen.x.device)
    kept = seen.unmask_sizes(quota, -torch.cat(log_p)).choose(draws, step.index)
    where = (seen.rows[0][kept], seen.rows[1][kept])
    return seen.x.index_put(where, token[kept])
