"""Costs of edges and of steps with a gain along the choices of a sampler that looks at the tokens.

From a state x with n masked, a step to m draws the n - m positions that come first by the sampler's own rule, i_1, i_2,
.. by increasing doubt, as if they were independent. Reversed, as the certificate is (`certificates.masked`), it costs

    cost(n -> m) = E_x sum_{r < n - m} t_n(r),   t_n(r) = E KL(q_r || p_r(. | x and r tokens drawn from q)),

q_r and p_r the network's distributions at the position that comes after r others, at x and at the later state.

The sets are nested, so one state gives every edge that leaves it. t_n is measured at a few r, one network call
each, over half as many positions as are known, and taken as linear in between; t_n(0) = 0. The same states say with
which threshold a step would unmask k tokens: the level of the k-th position by doubt, a curve a node.

A schedule changes which positions are masked when n are, so the cost of an edge depends on the steps before it through
the distribution of x, and on nothing else of the number of steps. Here x comes from the sampler's own paths in
equal steps, which start at every offset and so come by every node: half of the paths take 2 steps, half 8, and costs
for a schedule of M steps lie between the two, linear in log M. (States of finer paths mislead few steps: there the
choices are made anew after each token.) So one pass serves every number of steps up to NODES. The dynamic program is
exact for these costs, not for the certificate, which is measured afterwards.

A gain is chosen on the sampler's own states, all positions of its step alike (`certificates.masked`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.numerics.ranks import ranks
from lsd_core.paths.divergence import features_at_count, mean_kl
from lsd_core.paths.model import LEAST_PATHS, Attempt, EdgeCosts, Progress, Reference, empty_costs, silent
from lsd_core.paths.sampler_paths import own_paths
from lsd_core.samplers.adaptive import ByPrediction, WithinBudget
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.orders import UNIFORM
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import StepTable, counts_from_times, uniform_times
from lsd_core.trajectories.replay import state_at_count
from lsd_core.trajectories.types import Trajectories

NODES = 40  # edges of the grid of counts; doubled until a schedule has room
PATH_STEPS = (2, 8)  # of the paths on which edges are costed


@dataclass(frozen=True, eq=False, kw_only=True)
class ChosenModel:
    """`PathModel` over some mask counts, as many nodes as there are, along the sampler's own choices."""

    backbone: Backbone
    method: ByPrediction
    batch: int
    """Sequences a network call."""
    num_steps: int
    """Steps for which a schedule is sought; costs are the same for all that share a number of nodes."""
    root: int
    """Seed of the paths."""

    exchangeable = False  # a term is a mean over few positions, and so noisier than over all

    @property
    def length(self) -> int:
        return self.backbone.length

    @property
    def num_nodes(self) -> int:
        return nodes_for(self.num_steps, self.length)

    @property
    def strides(self) -> tuple[int, ...]:
        """Nodes of a step of the paths on which edges are costed: of few steps, and of many."""
        return tuple(max(1, round(self.num_nodes / steps)) for steps in PATH_STEPS)

    @property
    def counts(self) -> tuple[int, ...]:
        """Masked tokens at each node, equally spaced."""
        return counts_from_times(uniform_times(self.num_nodes), self.length).counts or ()

    @property
    def rule(self) -> str:
        """The sampler that unmasks quotas by the same doubts."""
        return self.method.by_quota or self.method.name

    @property
    def learns_gains(self) -> bool:
        """Where a threshold decides how many tokens a step unmasks, a gain changes that, and costs do not compare."""
        return not self.method.varies

    def check_steps(self, num_steps: int) -> None:
        if not 1 <= num_steps <= self.length:
            rule = f"lie in 1 .. {self.length}, the length, when stepping in counts"
            raise InputError("nfe", rule, num_steps)

    def table(self, nodes: tuple[int, ...]) -> StepTable:
        return StepTable(counts=tuple(self.counts[node] for node in nodes))

    def reference(self, max_sequences: int) -> Reference:
        """Paths along the rule's choices, as many by each node: the same for all samplers of that rule.

        What has thresholds has their curves measured too, and so costs of its own.
        """
        a_path = 4 * self.num_nodes + sum(self.strides) + 2 * sum(len(_stops(n)) for n in self.counts[:-1])
        wanted = max(LEAST_PATHS // 2, max_sequences // a_path)
        levels = self.method.name if isinstance(self.method, WithinBudget) else None
        key = ("choices", self.rule, levels, wanted, self.batch, self.num_nodes, self.root)
        return Reference(key, lambda: self._offset_paths(wanted), stored=False)

    def _offset_paths(self, wanted: int) -> tuple[Trajectories, int]:
        """For each stride `wanted` paths whose first step goes to node 1, then those to node 2, .. up to the stride."""
        seed, sequences, begun = derive_seed("path_kl choices", self.root), 0, 0
        ends, orders = [], []
        for stride, offset in [(each, first) for each in self.strides for first in range(1, each + 1)]:
            draws = Draws(seed, torch.arange(begun, begun + wanted))
            table = self.table((0, *range(offset, self.num_nodes, stride), self.num_nodes))
            paths, drawn = own_paths(self.backbone, self.rule, table, draws, self.batch)
            assert paths.x_end is not None
            assert paths.rank is not None
            ends.append(paths.x_end)
            orders.append(paths.rank)
            sequences, begun = sequences + drawn, begun + wanted
        together = Trajectories(
            index=torch.arange(begun),
            num_tokens=self.backbone.process.num_tokens,
            x_end=torch.cat(ends),
            rank=torch.cat(orders),
        )
        return together, sequences

    def edge_costs(self, paths: Trajectories, progress: Progress = silent) -> EdgeCosts:
        """Cost: for each node and path one call, and one more for each r at which t_n is measured."""
        few, many = self.strides
        each = len(paths) // (few + many)
        parts = paths.select(slice(few * each)), paths.select(slice(few * each, None))
        found = [
            self._costs(some, stride, lambda share, half=half: progress("edge costs", (half + share) / 2))  # type: ignore[misc]
            for half, (some, stride) in enumerate(zip(parts, self.strides, strict=True))
        ]
        sequences = sum(costs.sequences for costs in found)
        along = tuple(zip(PATH_STEPS, found, strict=True))
        return EdgeCosts((found[0].cost + found[1].cost) / 2, None, sequences, along=along)

    def _costs(self, paths: Trajectories, stride: int, progress: Callable[[float], None]) -> EdgeCosts:
        """Costs on paths of one stride, those of each offset together."""
        cost, sequences, each = empty_costs(self.num_nodes), 0, len(paths) // stride
        levels = list[tuple[float, ...]]()
        for node, n in enumerate(self.counts[:-1]):
            terms, level = torch.zeros(2, n, dtype=torch.float64)
            first = (node - 1) % stride * each  # of the paths that come by the node; all do by the first
            for part in pieces(each, self.batch):
                some = paths.select(slice(first + part.start, min(first + part.stop, first + each)))
                more, let = self._terms(some, node, n)
                terms, level = terms + more, level + let
            taken = torch.tensor([n - m for m in self.counts[node + 1 :]])
            cost[node, node + 1 :] = terms.cumsum(0)[taken - 1] / each
            levels.append(tuple((level / each).tolist()))
            sequences += (1 + len(_stops(n))) * each
            progress((node + 1) / self.num_nodes)
        return EdgeCosts(
            cost, None, sequences, tuple(levels) if isinstance(self.method, WithinBudget) else ()
        )

    def _terms(
        self, paths: Trajectories, node: int, n: int
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """t_n(0) .. t_n(n - 1), and the thresholds that unmask 1 .. n, summed over the paths."""
        x = state_at_count(paths, n)
        known = torch.full((len(x),), n)
        features = features_at_count(self.backbone, x, known)
        seen = MaskedPrediction(self.backbone, x, features)
        own = self.method.doubts(seen)
        doubts = torch.full(x.shape, torch.inf, dtype=torch.float64)
        doubts[seen.rows] = own.double()
        order = doubts.argsort(dim=1, stable=True)
        place = order.argsort(dim=1)
        levels = torch.zeros(x.shape, dtype=torch.float64)
        if isinstance(self.method, WithinBudget):
            levels[seen.rows] = self.method.levels(seen, own).double()
        apart = Draws(derive_seed("path_kl apart", self.root), paths.index)
        drawn = seen.unmask_sizes(known).draw(apart, node)
        measured = [0.0]
        for r in _stops(n):
            after = features_at_count(self.backbone, torch.where(place < r, drawn, x), known - r)
            where = (place >= r) & (place < min(n, r + max(1, r // 2)))
            measured.append(float(mean_kl(self.backbone, features, 1.0, after, 1.0, where).sum()))
        terms = torch.from_numpy(np.interp(np.arange(n), [0, *_stops(n)], measured))
        return terms, levels.gather(1, order)[:, :n].sum(0)

    def start(self, draws: Draws) -> Int[Tensor, "b l"]:
        return self.backbone.process.prior(len(draws.trajectory), self.length, draws.trajectory.device)

    def attempts(self, step: Step, x: Int[Tensor, "b l"], draws: Draws) -> Iterator[tuple[Tensor, Attempt]]:
        """Chains that have nothing masked are sent along: the calls are counted so."""
        share = inside_of(step, draws)
        masked = (x == self.backbone.process.mask).sum(1)
        for rows in torch.arange(len(x)).split(self.batch):
            own = Draws(draws.seed, draws.trajectory[rows])
            features = features_at_count(self.backbone, x[rows], masked[rows])
            yield rows, self._attempt(step, x[rows], features, share[rows], own)

    def calls_per_gain(self, step: Step) -> int:
        """Where a step is sure to unmask a single token it is never sharpened, and needs no second call."""
        assert step.counts is not None
        return int(self.method.varies or step.counts[0] - step.counts[1] > 1)

    def _attempt(self, step: Step, x: Tensor, features: Tensor, share: Tensor, draws: Draws) -> Attempt:
        def attempt(gain: float) -> tuple[Tensor, Tensor]:
            gained = replace(step, gain=gain, gain_on="log_score")
            seen = MaskedPrediction.of(self.backbone, x, features, gained)
            end = self.method.kernel(seen, gained).draw(draws, step.index)
            return self._cost(step, x, end, gain, features, share, draws), end

        return attempt

    def _cost(
        self, step: Step, x: Tensor, end: Tensor, gain: float, features: Tensor, share: Tensor, draws: Draws
    ) -> Float[Tensor, " b"]:
        """A step's terms of the bound, path by path: the one at its start, and the others as one at random says.

        What sharpening costs at the step's own state is summed over all its positions; the other term, after 1 ..
        size - 1 of them in random order, only says what these tokens change.
        """
        chosen = end != x
        size = chosen.sum(1)

        def divergence(network: Tensor, where: Bool[Tensor, "b l"]) -> Float[Tensor, " b"]:
            return mean_kl(self.backbone, features, gain, network, 1.0, where)

        cost = size * divergence(features, chosen)
        if not self.calls_per_gain(step):
            return cost
        first = first_of(chosen, share, draws)
        state = torch.where(first, end, x)
        network = features_at_count(self.backbone, state, (state == self.backbone.process.mask).sum(1))
        left = chosen & ~first
        change = divergence(network, left) - divergence(features, left)
        return cost + (size - 1).clamp(min=0) * change


def inside_of(step: Step, draws: Draws) -> Float[Tensor, " b"]:
    """Where inside a step each path is stopped: shares of its terms, stratified over the paths."""
    zero = torch.zeros_like(draws.trajectory)
    shuffle = ranks(uniforms(draws.seed, draws.trajectory, step.index, zero, Purpose.MASK))
    jitter = uniforms(draws.seed, draws.trajectory, step.index, zero + 1, Purpose.MASK)
    return (shuffle + jitter) / len(zero)


def first_of(chosen: Bool[Tensor, "b l"], share: Float[Tensor, " b"], draws: Draws) -> Bool[Tensor, "b l"]:
    """The positions of a step that come before the stop: 1 .. size - 1 of them, in random order."""
    size = chosen.sum(1)
    keys = torch.where(chosen, UNIFORM.keys(draws, chosen.shape[1]), torch.inf)
    known = 1 + (share * (size - 1)).long().clamp(max=(size - 2).clamp(min=0))
    return chosen & (ranks(keys, 1) < known[:, None])


def nodes_for(num_steps: int, length: int) -> int:
    """Edges of the grid on which a schedule of so many steps is sought: NODES, 2 NODES, .. or the length."""
    nodes = NODES
    while nodes < num_steps:
        nodes *= 2
    return min(length, nodes)


def _stops(n: int) -> tuple[int, ...]:
    """How many tokens are known where t_n is measured: 1, 2, 4, 16, 64, .. and all but one."""
    grown = [1, 2, 4]
    while grown[-1] < n:
        grown.append(4 * grown[-1])
    return tuple(sorted({*(r for r in grown if r < n), *([n - 1] if n > 1 else [])}))
