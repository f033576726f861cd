"""Exact conditionals of a Markov chain: a perfect backbone for data that are one.

Between its nearest revealed neighbours a masked token of a Markov chain has the law
p(x_i = y | left, right) proportional to P^(distance to left)[left, y] * P^(distance to right)[y, right].
With it every schedule, sampler and bound can be judged without a network's error. The chain may run through the
sequence in any order: `positions` in the configuration says where its first, second ... token stands, and where it is
left out the chain runs from left to right. Dependence is then no matter of distance.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.family import Family
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

MOST_BYTES = 2**33  # of tables by distance: those of 4096 positions and 256 tokens take half


class MarkovExact:
    """The conditionals of a chain (initial law, transition matrix) mixed with `smoothing` of uniform steps.

    The mixture makes every token reachable from every other, so that the law exists, and stays sensible,
    after a reveal that the chain itself could not produce: somewhere in that gap one rare step was taken.
    """

    family = "markov"
    task: str | None = None  # the task that whoever made it, or its file, declares
    time_free = True
    normalised = True

    def __init__(self, name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.name, self.config = name, config
        self.process = Absorbing.from_dict(config["process"])
        self.length: int = config["length"]
        self.smoothing: float = config["smoothing"]
        self.initial, self.transition = tensors["initial"].double(), tensors["transition"].double()
        num_tokens = self.process.num_tokens
        self.positions: list[int] | None = config.get("positions")
        if self.positions is not None and sorted(self.positions) != list(range(self.length)):
            rule = f"be a permutation of 0 .. {self.length - 1}"
            raise InputError("backbone config.positions", rule, self.positions)
        if not 0 < self.smoothing < 1:
            raise InputError("backbone config.smoothing", "lie in (0, 1)", self.smoothing)
        if self.transition.shape != (num_tokens, num_tokens) or self.initial.shape != (num_tokens,):
            rule = f"have shape {(num_tokens, num_tokens)}"
            raise InputError("transition", rule, tuple(self.transition.shape))
        needed = 16 * (self.length + 1) * (num_tokens + 1) * num_tokens
        if needed > MOST_BYTES:
            rule = f"leave its tables within {MOST_BYTES / 2**30:g} GiB"
            remedy = f"they would take {needed / 2**30:.3g} GiB"
            raise InputError("backbone config.length", rule, self.length, remedy)
        self._forward, self._backward = self._tables()

    def _tables(self) -> tuple[Tensor, Tensor]:
        """Left messages (l + 1, V + 1, V) and right messages (l + 1, V + 1, V), by distance and neighbour.

        Neighbour V stands for "none": on the left the start of the sequence, on the right its end.
        """
        v, length = self.process.num_tokens, self.length
        left = torch.zeros(length + 1, v + 1, v, dtype=torch.float64)
        right = torch.ones(length + 1, v + 1, v, dtype=torch.float64)
        step = (1 - self.smoothing) * self.transition + self.smoothing / v
        power, marginal = torch.eye(v, dtype=torch.float64), self.initial
        for distance in range(1, length + 1):
            power = power @ step
            left[distance, :v], right[distance, :v] = power, power.T
            left[distance, v], marginal = marginal, marginal @ step
        return left, right

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """Log of the conditional law at every position, (b, l, V) float64; t is ignored."""
        if self.positions is None:
            return self._along_the_chain(x)
        law = self._along_the_chain(x[:, self.positions])
        return torch.empty_like(law).index_copy(1, torch.tensor(self.positions, device=x.device), law)

    def _along_the_chain(self, x: Tensor) -> Tensor:
        v, device = self.process.num_tokens, x.device
        position = torch.arange(self.length, device=device)
        revealed = x != self.process.mask
        left_at = torch.where(revealed, position, -1).cummax(1).values
        left_at = torch.cat([torch.full_like(left_at[:, :1], -1), left_at[:, :-1]], dim=1)
        right_at = torch.where(revealed, position, self.length).flip(1).cummin(1).values.flip(1)
        right_at = torch.cat([right_at[:, 1:], torch.full_like(right_at[:, :1], self.length)], dim=1)
        left_token = torch.where(left_at >= 0, x.gather(1, left_at.clamp(min=0)), v)
        right_token = torch.where(right_at < self.length, x.gather(1, right_at.clamp(max=self.length - 1)), v)
        forward, backward = self._forward.to(device), self._backward.to(device)
        law = forward[position - left_at, left_token] * backward[right_at - position, right_token]
        return (law / law.sum(-1, keepdim=True)).log()

    def head(self, rows: Tensor) -> Tensor:
        return rows

    def tensors(self) -> dict[str, Tensor]:
        return {"initial": self.initial, "transition": self.transition}

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.tensors(), self.config)


FAMILY = Family(name=MarkovExact.family, build=MarkovExact)
