"""The protocol that path-KL reads a process by: costs of all edges of a grid, and of a step with several gains.

Edges join the nodes of a grid, from noise (node 0) to data (the last). `MaskedModel` implements the protocol over
mask counts, `JumpModel` over the times of a teacher's stored states.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories

Progress = Callable[[str, float], None]  # (what is being done, share done in [0, 1])
Attempt = Callable[[float], tuple[Tensor, Tensor]]  # a step's gain -> its cost path by path, states after it

LEAST_PATHS = 8


def silent(stage: str, share: float) -> None:
    """Progress that is not shown."""


@dataclass(frozen=True, eq=False)
class EdgeCosts:
    """Costs in nats of all edges over a grid of nodes."""

    cost: Float[Tensor, "n n"]
    """cost[i, j], i < j: mean over the paths; the other entries are 0."""
    own: float | None
    """Cost of the same paths under the teacher's own distribution; None where costs are divergences from it already."""
    sequences: int
    """Sequences sent through the network."""
    levels: tuple[tuple[float, ...], ...] = ()
    """[i][k - 1]: mean threshold that unmasks k tokens from node i on; empty for samplers without thresholds."""
    along: tuple[tuple[int, "EdgeCosts"], ...] = ()
    """Where costs depend on how a node was reached: (steps, costs on paths of so many), few and many."""

    def for_steps(self, num_steps: int) -> "EdgeCosts":
        """The costs by which a schedule of so many steps is chosen: between those on paths of few steps and of many,
        linear in log(steps), and those at the end beyond either; of all sequences that were sent."""
        if not self.along:
            return self
        (few, coarse), (many, fine) = self.along
        share = min(1.0, max(0.0, math.log(num_steps / few) / math.log(many / few)))
        levels = tuple(
            tuple((1 - share) * a + share * b for a, b in zip(*each, strict=True))
            for each in zip(coarse.levels, fine.levels, strict=True)
        )
        cost = (1 - share) * coarse.cost + share * fine.cost
        return EdgeCosts(cost, None, self.sequences, levels)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, from which the same bits are read: row i has the edges from node i to i + 1, i + 2, ..."""
        rows = [row[node + 1 :] for node, row in enumerate(self.cost.tolist()[:-1])]
        record: dict[str, Any] = {"cost_nats": rows, "own_nats": self.own, "sequences": self.sequences}
        if self.levels:
            record["levels"] = [list(each) for each in self.levels]
        if self.along:
            record["along"] = [[steps, costs.to_dict()] for steps, costs in self.along]
        return record

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> "EdgeCosts":
        rows, own = record["cost_nats"], record["own_nats"]
        cost = empty_costs(len(rows))
        for node, row in enumerate(rows):
            cost[node, node + 1 :] = torch.tensor(row, dtype=torch.float64)
        levels = tuple(tuple(map(float, each)) for each in record.get("levels", ()))
        along = tuple((int(steps), EdgeCosts.from_dict(costs)) for steps, costs in record.get("along", ()))
        sequences = int(record["sequences"])
        return EdgeCosts(cost, None if own is None else float(own), sequences, levels, along)


@dataclass(frozen=True, eq=False)
class Reference:
    """Paths on which edges are compared, drawn only if they are used."""

    key: tuple[Any, ...]
    """What they depend on, beside the backbone and the stored trajectories: numbers, names, and tuples of them."""
    draw: Callable[[], tuple[Trajectories, int]]
    """The paths, and the sequences it took to draw them."""
    stored: bool
    """Whether they are the stored trajectories, or the network's own paths, which do not depend on these."""


@runtime_checkable
class PathModel(Protocol):
    """A backbone with a base sampler that evaluates it once a step."""

    @property
    def length(self) -> int:
        """Positions of a sequence."""
        ...

    @property
    def num_nodes(self) -> int:
        """Edges of the finest schedule: nodes that a step can start from."""
        ...

    @property
    def learns_gains(self) -> bool:
        """Whether the reverse bound of a step with a gain is known."""
        ...

    @property
    def exchangeable(self) -> bool:
        """Whether a term of the bound is a mean over positions, not that of the one that comes next."""
        ...

    def check_steps(self, num_steps: int) -> None:
        """Raise InputError unless a schedule of so many steps fits on the grid."""
        ...

    def table(self, nodes: tuple[int, ...]) -> StepTable:
        """The schedule through these nodes, gains 1."""
        ...

    def reference(self, max_sequences: int) -> Reference:
        """Paths whose edges cost about so many network sequences, at least `LEAST_PATHS` paths."""
        ...

    def edge_costs(self, paths: Trajectories, progress: Progress = silent) -> EdgeCosts:
        """Costs of all edges: one network call at each (path, node) gives every edge that leaves the node."""
        ...

    def start(self, draws: Draws) -> Int[Tensor, "b l"]:
        """States at t = 1."""
        ...

    def attempts(self, step: Step, x: Int[Tensor, "b l"], draws: Draws) -> Iterator[tuple[Tensor, Attempt]]:
        """A step from the states x, group by group: the rows of each group and its cost as a function of the gain.

        All gains start from the same states and draw with the same uniforms, so that they differ by little else.
        The cost is the step's share of the reverse bound.
        """
        ...

    def calls_per_gain(self, step: Step) -> int:
        """Network calls a path for each gain tried in a step, at most, beside the one that all share."""
        ...


def empty_costs(num_nodes: int) -> Float[Tensor, "n n"]:
    """Costs of no path yet, for this many nodes and the last."""
    return torch.zeros(num_nodes + 1, num_nodes + 1, dtype=torch.float64)
