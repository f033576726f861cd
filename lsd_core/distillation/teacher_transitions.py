"""Transitions of a masked teacher at its own states, as targets of LSD and LSD+."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.finite import head_rows
from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.teacher_features import TeacherFeatures, hidden_before
from lsd_core.samplers.step import Step
from lsd_core.trajectories.types import Trajectories


class TeacherTransitions:
    """The teacher's transitions in each of the student's M steps, at its own states, summed over some moments of each.

    `chances` are those of a reveal at each moment; LSD, which compares scores, has one moment a step and chances of 1.
    """

    def __init__(
        self,
        backbone: Backbone,
        paths: Trajectories,
        moments: Sequence[Step],
        points: int = 1,
        chances: Tensor | None = None,
    ) -> None:
        self.backbone, self.paths, self.moments, self.points = backbone, paths, list(moments), points
        self.features = TeacherFeatures(backbone, paths, self.moments)
        self.chances = torch.ones(len(self.moments), dtype=torch.float64) if chances is None else chances

    @property
    def key(self) -> tuple[Any, ...]:
        """What they depend on, beside the backbone and the paths."""
        return (
            tuple((moment.t, moment.counts) for moment in self.moments),
            tuple(self.chances.tolist()),
            self.points,
        )

    @property
    def num_hidden(self) -> int:
        """Masked positions of all paths at the starts of all intervals."""
        starts = self.moments[:: self.points]
        return sum(int(hidden_before(self.paths, moment).sum()) for moment in starts)

    def interval(self, k: int) -> list[Step]:
        """The teacher's steps in interval k."""
        return self.moments[k * self.points : (k + 1) * self.points]

    def hidden(self, rows: Int[Tensor, " r"], k: int) -> Bool[Tensor, "r l"]:
        """Where the paths are masked when interval k begins."""
        return hidden_before(self.paths.select(rows), self.interval(k)[0])

    def load(self, rows: Int[Tensor, " r"], k: int) -> list[tuple[float, Tensor, Tensor]]:
        """For each teacher step of interval k: its reveal chance, where it is masked, and its features."""
        paths = self.paths.select(rows)
        return [
            (
                float(self.chances[moment.index]),
                hidden_before(paths, moment),
                self.features.at(rows, moment.index),
            )
            for moment in self.interval(k)
        ]

    def summed(
        self, loaded: list[tuple[float, Tensor, Tensor]], row: tuple[Tensor, Tensor]
    ) -> Float[Tensor, "r v"]:
        """The transition to each token, summed over the loaded steps, at chosen (sample, position)."""
        total = torch.zeros(len(row[0]), self.backbone.process.num_tokens, dtype=torch.float64)
        for chance, hidden, features in loaded:
            total = total + chance * masked_log_probs(self.backbone, features, row, hidden)[0].exp()
        return total


def masked_log_probs(
    backbone: Backbone, features: Tensor, row: tuple[Tensor, Tensor], masked: Bool[Tensor, "b l"]
) -> tuple[Float[Tensor, "r v"], Float[Tensor, " s"]]:
    """Log x0 distributions in float64 at chosen (sample, position), and the logs of their row sums before normalising.

    A revealed position has a row of zeros, so of -inf here, and no row sum.
    """
    at = masked[row]
    log_weight = head_rows(backbone, features[row[0][at], row[1][at]]).double()
    sums = log_weight.logsumexp(-1)
    if bool(at.all()):
        return log_weight - sums[:, None], sums
    log_probs = log_weight.new_full((len(at), backbone.process.num_tokens), -torch.inf)
    return log_probs.index_copy(0, at.nonzero()[:, 0], log_weight - sums[:, None]), sums
