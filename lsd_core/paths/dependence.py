"""How much masked positions depend on each other, as the network's own predictions say.

Unmask x_i at a state x and evaluate the network again: the mean of KL(p_j(. | x, x_i) || p_j(. | x)) is the mutual
information I(x_i; x_j | x) where the network is consistent, for all masked j from one call. Neighbouring states of a
path differ by one token, so a path of l positions gives l - 1 such rows at l calls.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.paths.divergence import features_at_count, position_kl
from lsd_core.samplers.categorical import pieces
from lsd_core.trajectories.replay import hidden_at_count, state_at_count
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, eq=False)
class Dependence:
    """Sums of divergences by how many positions are unmasked: group g has r of them, r of g binary digits."""

    total: Float[Tensor, "g l l"]
    """[g, i, j]: KL at j from unmasking i, summed over the states where both were masked."""
    states: Float[Tensor, "g l l"]
    """How many states that were."""
    sequences: int
    """Sequences sent through the network."""

    @property
    def length(self) -> int:
        return self.total.shape[1]

    def near(self, unmasked: int) -> Float[Tensor, "l l"]:
        """Mean dependence, symmetric, where about so many positions are unmasked: half as many to twice as many.

        A pair that was never seen there has its mean over all states, and one never seen at all the mean of the pairs.
        """
        group = unmasked.bit_length()
        around = slice(max(0, group - 1), group + 2)
        here, seen = self._sums(around)
        total, ever = self._sums(slice(None))
        pairs = torch.where(ever > 0, total / ever.clamp(min=1), total.sum() / ever.sum().clamp(min=1))
        return torch.where(seen > 0, here / seen.clamp(min=1), pairs).fill_diagonal_(0)

    def _sums(self, groups: slice) -> tuple[Tensor, Tensor]:
        total, states = self.total[groups].sum(0), self.states[groups].sum(0)
        return total + total.T, states + states.T


def measure_dependence(backbone: Backbone, paths: Trajectories, batch: int) -> Dependence:
    """Dependence along paths that unmask one token at a time in any order. Cost: l calls a path."""
    assert paths.rank is not None
    length, device = paths.length, paths.rank.device
    shape = ((length - 1).bit_length() + 1, length, length)
    total, states = (torch.zeros(shape, dtype=torch.float64, device=device) for _ in range(2))
    for part in pieces(len(paths), batch):
        some = paths.select(part)
        assert some.rank is not None
        position = some.rank.argsort(dim=1)
        before = None
        for unmasked in range(length):
            n = length - unmasked
            after = features_at_count(backbone, state_at_count(some, n), torch.full((len(some),), n))
            if before is not None:
                masked, group = hidden_at_count(some, n), (unmasked - 1).bit_length()
                moved = position_kl(backbone, after, before, masked)
                total[group].index_add_(0, position[:, unmasked - 1], moved)
                states[group].index_add_(0, position[:, unmasked - 1], masked.double())
            before = after
    return Dependence(total, states, len(paths) * length)
