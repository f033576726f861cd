"""Costs of edges and of steps with a gain on the masked process, over mask counts.

A step from one node to a later one uses the distribution that the network gives at the first: its cost is the mean
of -log p(token | state at the first node), summed over the tokens that the reference path reveals in between.

A gain is chosen on the sampler's own path, stopped with n tokens masked inside its step k. The reverse bound (METHOD:
certificates)

    KL(q_out || p_net) <= sum_{n=1}^{l} E_q mean_{i masked} KL(q_{k,i} || p_i(. | x^(n)))

is a sum over the steps: step k, from n_k masked to n_{k+1}, owns the terms n_k >= n > n_{k+1}. (In an order of its own
the position that comes next takes the place of the mean: `next_at_count`.) Sharpening costs at once (the term n = n_k,
where both have seen the same tokens) and pays inside the step, where tokens drawn apart contradict each other less.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.numerics.ranks import ranks
from lsd_core.paths.divergence import CallRows, features_at_count, token_log_probs
from lsd_core.paths.masked_terms import next_at_count
from lsd_core.paths.model import LEAST_PATHS, Attempt, EdgeCosts, Progress, Reference, empty_costs, silent
from lsd_core.paths.sampler_paths import free_groups, one_at_a_time
from lsd_core.samplers.categorical import pieces
from lsd_core.samplers.conditional import scaled_count
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.orders import Order
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import Step, time_of_count
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.conditions import Conditions, by_free
from lsd_core.trajectories.replay import hidden_at_count, state_at_count, timed
from lsd_core.trajectories.types import Trajectories


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedModel:
    """`PathModel` over counts: node i stands for n = l - i masked."""

    backbone: Backbone
    method: OneCall
    batch: int
    """Sequences a network call."""
    stored: Trajectories | None = None
    """Teacher paths."""
    seed: int = 0
    teacher_seed: int | None = None
    """Seed that drew the teacher paths."""
    pooled: bool = False
    """Replace the tokens that a path reveals on an edge by (n - m) H_n, H_n the mean -log p of all n masked tokens: the
    same expectation where the order is independent of the tokens (data paths, consistent networks), at a smaller
    variance."""
    permutation: tuple[int, ...] | None = None
    """The order that the table holds, for a sampler whose order is learned."""
    conditions: Conditions | None = None
    """What is given to paths; node i then stands for the same share of a path's free positions as of all l."""

    learns_gains = True

    @property
    def length(self) -> int:
        return self.backbone.length

    @property
    def num_nodes(self) -> int:
        return self.length

    @property
    def order(self) -> Order:
        """In which order the positions are unmasked."""
        return self.method.order.of_table(self.permutation)

    @property
    def exchangeable(self) -> bool:
        return self.method.order.exchangeable

    def check_steps(self, num_steps: int) -> None:
        if not 1 <= num_steps <= self.length:
            raise InputError(
                "nfe", f"lie in 1 .. {self.length}, the length, when stepping in counts", num_steps
            )

    def table(self, nodes: tuple[int, ...]) -> StepTable:
        return StepTable(counts=tuple(self.length - node for node in nodes), order=self.permutation)

    def reference(self, max_sequences: int) -> Reference:
        """Stored paths or, for an order of the sampler's own, paths of the network along that.

        An inconsistent network has another distribution in every order. On tokens of its uniform order what an edge
        costs is mostly how far these are apart; on its own paths it is the divergence from unmasking one by one, at a
        small variance. Drawn from the teacher's seed, they are the same for all that read the same teacher.
        """
        calls = self.length if self.conditions is None else max(1, round(self.conditions.mean_free))
        wanted = max(LEAST_PATHS, max_sequences // calls)
        if not self.exchangeable:
            root = self.seed if self.teacher_seed is None else self.teacher_seed
            draws = Draws(derive_seed("path_kl order", root), torch.arange(wanted))
            key = (wanted, self.batch, self.method.order.name, root, self.permutation)
            return Reference(key, lambda: self.one_at_a_time(draws), stored=False)
        stored = self.stored.select(slice(wanted)) if self.stored else None
        # Where paths do not say when inside a teacher's step a token came, the seed does.
        seed = self.seed if stored is not None and stored.reveal_time is None else None
        settings = (wanted, self.batch, self.pooled, seed)
        return Reference(settings, lambda: (timed(stored, self.seed), 0), stored=True)

    def one_at_a_time(self, draws: Draws) -> tuple[Trajectories, int]:
        """Paths of the network that reveals one token at a time in this order, and the sequences it took."""
        return one_at_a_time(
            self.backbone, self.method.name, draws, self.batch, self.permutation, self._given(draws)
        )

    def edge_costs(self, paths: Trajectories, progress: Progress = silent) -> EdgeCosts:
        """Costs of all edges; where tokens are given, of what a table that is rescaled for each path does on it."""
        cost, own, sequences = empty_costs(self.num_nodes), 0.0, 0
        for rows, free in free_groups(paths):
            some = self._free_costs(paths.select(rows), free, progress)
            counts = range(self.length, -1, -1)
            node = torch.tensor([free - scaled_count(n, self.length, free) for n in counts])
            cost += some.cost[node][:, node]
            own, sequences = own + (some.own or 0.0), sequences + some.sequences
        return EdgeCosts(cost / len(paths), own / len(paths), sequences)

    def _free_costs(self, paths: Trajectories, free: int, progress: Progress) -> EdgeCosts:
        """Summed costs over paths with `free` positions that were not given: edges of counts free .. 0."""
        cost, own = empty_costs(free), 0.0
        for node in range(free):
            for tokens in self.node_costs(paths, self.length - free + node):
                row = tokens.sum(0).cumsum(0)
                own += float(row[0])
                cost[node, node + 1 :] += row
            if self.pooled:
                n = free - node
                cost[node, node + 1 :] = cost[node, -1].clone() / n * torch.arange(1, n + 1)
            progress("edge costs", (node + 1) / free)
        return EdgeCosts(cost, own, len(paths) * free)

    def node_costs(self, paths: Trajectories, node: int) -> Iterator[Float[Tensor, "b n"]]:
        """-log p of the tokens that come after a node, given its state, next first: one network call a batch of paths.

        On paths of an inconsistent network a token's value and place in the order depend on each other.
        """
        for part in pieces(len(paths), self.batch):
            some = paths.select(part)
            assert some.x_end is not None
            assert some.rank is not None
            n = self.length - node
            x = state_at_count(some, n)
            rows = hidden_at_count(some, n).nonzero(as_tuple=True)
            features = features_at_count(self.backbone, x, torch.full((len(x),), n))
            nll = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
            nll[rows] = -token_log_probs(self.backbone, features, rows, some.x_end[rows].long())
            yield nll.gather(1, some.rank.argsort(dim=1))[:, node:]

    def _given(self, draws: Draws) -> Int[Tensor, "b l"] | None:
        """The template of each path."""
        return None if self.conditions is None else self.conditions.at(draws.seed, draws.trajectory)

    def start(self, draws: Draws) -> Int[Tensor, "b l"]:
        return start(self.backbone, draws, self._given(draws)).x

    def attempts(self, step: Step, x: Int[Tensor, "b l"], draws: Draws) -> Iterator[tuple[Tensor, Attempt]]:
        assert step.counts is not None
        begun = self.start(draws)
        given = begun != self.backbone.process.mask
        rank = ranks(self.order.keys(draws, self.length) - given.double(), 1)  # what is given comes first
        for same, free in by_free(begun, self.backbone.process.mask):
            n, m = (scaled_count(count, self.length, free) for count in step.counts)
            if n == m:  # the rescaled table leaves the step out
                yield same, lambda gain, rows=same: (torch.zeros(len(rows)).double(), x[rows])  # type: ignore[misc]
                continue
            t, s = time_of_count(n, self.length), time_of_count(m, self.length)
            stops = _stops_inside(n, m, Draws(draws.seed, draws.trajectory[same]), step.index)
            scaled = replace(step, counts=(n, m), t=t, s=s)
            for part in torch.arange(len(same)).split(self.batch):
                rows = same[part]
                own = Draws(draws.seed, draws.trajectory[rows])
                features = features_at_count(self.backbone, x[rows], torch.full_like(stops[part], n))
                yield rows, self._attempt(scaled, x[rows], features, rank[rows], stops[part], own)

    def calls_per_gain(self, step: Step) -> int:
        """A step that reveals a single token is never sharpened, and needs no second call."""
        assert step.counts is not None
        return int(step.counts[0] - step.counts[1] > 1)

    def _attempt(
        self, step: Step, x: Tensor, features: Tensor, rank: Tensor, stop: Tensor, draws: Draws
    ) -> Attempt:
        assert step.counts is not None
        known = CallRows(self.backbone, features, rank >= self.length - step.counts[0])

        def attempt(gain: float) -> tuple[Tensor, Tensor]:
            gained = replace(step, gain=gain, gain_on="log_score")
            seen = MaskedPrediction.of(self.backbone, x, features, gained)
            end = self.method.kernel(seen, gained).draw(draws, step.index)
            path = Trajectories(
                index=draws.trajectory, num_tokens=self.backbone.process.num_tokens, x_end=end, rank=rank
            )
            return self._cost(step, path, gain, known, stop), end

        return attempt

    def _cost(
        self, step: Step, path: Trajectories, gain: float, known: CallRows, stop: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """A step's terms of the bound, path by path: the one at its start, and the others as the one at `stop` says.

        In an order of the sampler's own the step's positions are known. What sharpening costs at the step's own state
        is then summed over all of them, and the one at `stop` only says what the tokens revealed in between change.
        """
        assert step.counts is not None
        n, m = step.counts
        if self.exchangeable:
            cost = known.kl_to_plain(gain, known.where)
        else:
            cost = (n - m) * known.kl_to_plain(gain, known.where & ~hidden_at_count(path, m))
        if n - m == 1:
            return cost
        network = features_at_count(self.backbone, state_at_count(path, stop), stop)
        following = next_at_count(path, stop, self.order)
        change = known.kl_to(gain, network, following)
        if not self.exchangeable:
            change = change - known.kl_to_plain(gain, following)
        return cost + (n - m - 1) * change


def _stops_inside(n: int, m: int, draws: Draws, step: int) -> Int[Tensor, " b"]:
    """Counts to stop at, uniform on m + 1 .. n - 1 and stratified over the paths; n if there is none."""
    b = len(draws.trajectory)
    if n - m == 1:
        return torch.full((b,), n)
    zero = torch.zeros_like(draws.trajectory)
    shuffle = ranks(uniforms(draws.seed, draws.trajectory, step, zero, Purpose.MASK))
    jitter = uniforms(draws.seed, draws.trajectory, step, zero + 1, Purpose.MASK)
    strata = (shuffle + jitter) / b
    return m + 1 + (strata * (n - m - 1)).long().clamp(max=n - m - 2)
