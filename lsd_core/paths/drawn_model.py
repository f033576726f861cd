"""Costs of steps with a gain where the positions are those whose drawn tokens are likeliest (`confidence_drawn`).

Of such a step the probability of the positions S and their tokens is known, and so is that of a reference which
chooses S without seeing a token and then asks the network before each (`paths.selection`). The bound of a step is

    log Q(S, x_S) - log r(S) - sum_{i in S} log p_i(x_i | x and the tokens of S before it, in random order),

of which what selection and gain do is known at the step's state, and the rest is measured at one count inside the step.

The schedule is that of `confidence`, which goes by the same doubts before the draw: selection has no cost that adds up
over nested sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.paths.chosen_model import ChosenModel, first_of, inside_of
from lsd_core.paths.divergence import features_at_count, token_log_probs
from lsd_core.paths.model import Attempt, EdgeCosts, Progress, Reference, silent
from lsd_core.paths.selection import log_selection
from lsd_core.samplers.confidence_drawn import likeliest
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, eq=False)
class DrawnModel:
    """`PathModel` whose schedule is that of a rule before the draw, and whose gains are its own."""

    before: ChosenModel
    """The model of `confidence`."""

    learns_gains = True
    exchangeable = False

    @property
    def length(self) -> int:
        return self.before.length

    @property
    def num_nodes(self) -> int:
        return self.before.num_nodes

    def check_steps(self, num_steps: int) -> None:
        self.before.check_steps(num_steps)

    def table(self, nodes: tuple[int, ...]) -> StepTable:
        return self.before.table(nodes)

    def reference(self, max_sequences: int) -> Reference:
        return self.before.reference(max_sequences)

    def edge_costs(self, paths: Trajectories, progress: Progress = silent) -> EdgeCosts:
        return self.before.edge_costs(paths, progress)

    def start(self, draws: Draws) -> Int[Tensor, "b l"]:
        return self.before.start(draws)

    def calls_per_gain(self, step: Step) -> int:
        return self.before.calls_per_gain(step)

    def attempts(self, step: Step, x: Int[Tensor, "b l"], draws: Draws) -> Iterator[tuple[Tensor, Attempt]]:
        assert step.counts is not None
        share = inside_of(step, draws)
        for rows in torch.arange(len(x)).split(self.before.batch):
            own = Draws(draws.seed, draws.trajectory[rows])
            known = torch.full_like(rows, step.counts[0])
            features = features_at_count(self.before.backbone, x[rows], known)
            yield rows, self._attempt(step, x[rows], features, share[rows], own)

    def _attempt(self, step: Step, x: Tensor, features: Tensor, share: Tensor, draws: Draws) -> Attempt:
        def attempt(gain: float) -> tuple[Tensor, Tensor]:
            gained = replace(step, gain=gain, gain_on="log_score")
            seen = MaskedPrediction.of(self.before.backbone, x, features, gained)
            end = likeliest(seen, gained, draws)
            return self._cost(gained, seen, end, share, draws), end

        return attempt

    def _cost(
        self, step: Step, seen: MaskedPrediction, end: Tensor, share: Tensor, draws: Draws
    ) -> Float[Tensor, " b"]:
        """A step's terms of the bound, path by path."""
        chosen = end != seen.x
        plain = replace(seen, power=1.0)
        cost = log_tokens(seen, chosen, end) - log_tokens(plain, chosen, end)
        if not step.last:
            cost = cost + log_selection(seen, chosen, end)
        if not self.calls_per_gain(step):
            return cost
        first = first_of(chosen, share, draws)
        state, left = torch.where(first, end, seen.x), chosen & ~first
        known = (state == seen.backbone.process.mask).sum(1)
        after = replace(plain, features=features_at_count(seen.backbone, state, known))
        change = log_tokens(plain, left, end) - log_tokens(after, left, end)
        size = chosen.sum(1)
        return cost + (size - 1).clamp(min=0) * change / left.sum(1).clamp(min=1)


def log_tokens(
    seen: MaskedPrediction, where: Bool[Tensor, "b l"], tokens: Int[Tensor, "b l"]
) -> Float[Tensor, " b"]:
    """Sum of log q_i(x_i) over these positions of each chain."""
    rows = where.nonzero(as_tuple=True)
    log_q = token_log_probs(seen.backbone, seen.features, rows, tokens[rows], seen.power)
    return torch.zeros(len(where), dtype=torch.float64, device=where.device).index_add(0, rows[0], log_q)
