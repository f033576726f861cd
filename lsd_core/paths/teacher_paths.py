"""Teacher paths as a distillation reads them: states at any moment, and what the network says there."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.samplers.step import Step
from lsd_core.trajectories.types import TIME_GRID, Trajectories

CACHE_BYTES = 1 << 29  # teacher features are kept while they fit, else computed again each epoch


@dataclass(frozen=True, eq=False)
class TeacherPaths:
    """n complete paths over l positions, from an exact teacher or one of N steps."""

    index: Int[Tensor, " n"]
    """Number of each trajectory in its data set, which is its Philox trajectory."""
    x_end: Int[Tensor, "n l"]
    reveal_time: Float[Tensor, "n l"]
    """In [0, 1); a position is masked at t while this is < t."""
    rank: Int[Tensor, "n l"]
    """0 is revealed first."""
    mask: int

    @staticmethod
    def read(trajectories: Trajectories | None, seed: int) -> "TeacherPaths":
        """The stored paths.

        An N-step teacher does not say when inside its step a token came; a uniform moment in it is drawn, so
        that states at its own times are its states, and between them its tokens come one at a time.
        """
        if trajectories is None or trajectories.x_end is None:
            raise InputError("trajectories", "be given with x_end", None, "name a teacher in the grid")
        if trajectories.reveal_time is not None:
            time = trajectories.reveal_time.double() / TIME_GRID
        elif trajectories.reveal_step is not None and trajectories.steps is not None:
            inside = uniform_grid(seed, trajectories.index, 0, trajectories.length, Purpose.TIME)
            time = 1 - (trajectories.reveal_step + 1 - inside) / trajectories.steps
            time = time.clamp(min=0.0)
        else:
            held = ", ".join(trajectories.columns())
            raise InputError("trajectories", "hold reveal_time or reveal_step", held)
        rank = trajectories.rank
        if rank is None:
            rank = time.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        return TeacherPaths(
            index=trajectories.index,
            x_end=trajectories.x_end.long(),
            reveal_time=time,
            rank=rank.long(),
            mask=trajectories.mask,
        )

    def __len__(self) -> int:
        return len(self.index)

    def hidden(self, rows: Int[Tensor, " r"], step: Step) -> Bool[Tensor, "r l"]:
        """Where the paths are masked when `step` begins: at its time or, on a grid of counts, its count."""
        if step.counts is not None:
            return self.rank[rows] >= self.rank.shape[1] - step.counts[0]
        return self.reveal_time[rows] < step.t

    def state(self, rows: Int[Tensor, " r"], step: Step) -> Int[Tensor, "r l"]:
        """The paths' tokens when `step` begins."""
        return self.x_end[rows].masked_fill(self.hidden(rows, step), self.mask)


class TeacherFeatures:
    """The network's features at fixed moments of the paths, computed when first asked for and kept.

    The paths and the moments are fixed, so every epoch reads the same features: a moment of a path costs one
    call in all, unless everything together would take more than `cache_bytes`.
    """

    def __init__(
        self, backbone: Backbone, paths: TeacherPaths, moments: list[Step], cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.backbone, self.paths, self.moments, self.cache_bytes = backbone, paths, moments, cache_bytes
        self.sequences = 0
        self._kept: dict[int, Tensor] = {}
        self._known = torch.zeros(len(moments), len(paths), dtype=torch.bool)

    @torch.no_grad()
    def at(self, rows: Int[Tensor, " r"], moment: int) -> Tensor:
        """Features (r, l, d) of the paths `rows` when step `moment` begins."""
        unknown = rows[~self._known[moment, rows]]
        if len(unknown) == 0:
            return self._kept[moment][rows]
        step = self.moments[moment]
        t = torch.full((len(unknown),), step.t, dtype=torch.float64)
        fresh = self.backbone.features(self.paths.state(unknown, step), t)
        self.sequences += len(unknown)
        if fresh[0].numel() * fresh.element_size() * self._known.numel() > self.cache_bytes:
            return fresh
        if moment not in self._kept:
            self._kept[moment] = fresh.new_empty(len(self.paths), *fresh.shape[1:])
        self._kept[moment][unknown] = fresh
        self._known[moment, unknown] = True
        return self._kept[moment][rows]
