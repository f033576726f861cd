"""Network outputs at fixed moments of stored masked paths, cached."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers.step import Step
from lsd_core.trajectories.replay import hidden_at_count, hidden_at_time
from lsd_core.trajectories.types import Trajectories

# Features, or what is made of them, are cached while they fit, else computed again each epoch.
CACHE_BYTES = 1 << 29


def hidden_before(paths: Trajectories, step: Step) -> Bool[Tensor, "n l"]:
    """Where the paths are masked when `step` begins: at its time or, on a grid of counts, its count."""
    return hidden_at_time(paths, step.t) if step.counts is None else hidden_at_count(paths, step.counts[0])


def state_before(paths: Trajectories, step: Step) -> Int[Tensor, "n l"]:
    """The paths' tokens when `step` begins."""
    assert paths.x_end is not None
    return paths.x_end.masked_fill(hidden_before(paths, step), paths.mask).long()


class TeacherFeatures:
    """The network's features at fixed moments of the paths, computed when first needed and cached.

    The paths and the moments are fixed, so every epoch reads the same features: a moment of a path costs one
    call in all, unless everything together would take more than `cache_bytes`. Equal states that are asked for together
    share it: of those that are all MASK one is sent through the network.
    """

    def __init__(
        self, backbone: Backbone, paths: Trajectories, moments: list[Step], cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.backbone, self.paths, self.moments, self.cache_bytes = backbone, paths, moments, cache_bytes
        self.sequences = 0
        self._cached: dict[int, Tensor] = {}
        self._known = torch.zeros(len(moments), len(paths), dtype=torch.bool)

    @torch.no_grad()
    def at(self, rows: Int[Tensor, " r"], moment: int) -> Tensor:
        """Features (r, l, d) of the paths `rows` when step `moment` begins."""
        unknown = rows[~self._known[moment, rows]]
        if len(unknown) == 0:
            return self._cached[moment][rows]
        step = self.moments[moment]
        t = torch.full((len(unknown),), step.t, dtype=torch.float64)
        x = state_before(self.paths.select(unknown), step)
        distinct, which = distinct_features(self.backbone, x, t, len(unknown))
        self.sequences += len(distinct)
        fresh = distinct if len(distinct) == len(unknown) else distinct[which]
        if fresh[0].numel() * fresh.element_size() * self._known.numel() > self.cache_bytes:
            return fresh
        if moment not in self._cached:
            self._cached[moment] = fresh.new_empty(len(self.paths), *fresh.shape[1:])
        self._cached[moment][unknown] = fresh
        self._known[moment, unknown] = True
        return self._cached[moment][rows]


def distinct_features(
    backbone: Backbone, x: Int[Tensor, "n l"], t: Float[Tensor, " n"], batch: int
) -> tuple[Float[Tensor, "k l d"], Int[Tensor, " n"]]:
    """Features of the distinct states among those at (x, t), and which of them each is; at most `batch` a call.

    States are equal where their tokens are and, on a network that is conditioned on the time, their times.
    """
    known_by = x if backbone.time_free else torch.cat([x, t.to(x.device).view(torch.long)[:, None]], dim=1)
    which = known_by.unique(dim=0, return_inverse=True)[1]
    place = torch.arange(len(x), device=x.device)
    first = torch.full_like(place, len(x)).scatter_reduce(0, which, place, "amin")
    first = first[first < len(x)].sort().values  # in the order in which they come
    which = torch.empty_like(place).scatter(0, which[first], torch.arange(len(first), device=x.device))[which]
    calls = [backbone.features(x[some], t[some]) for some in first.split(batch)]
    return calls[0] if len(calls) == 1 else torch.cat(calls), which
