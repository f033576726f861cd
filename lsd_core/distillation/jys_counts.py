"""Jump Your Steps along an order: counts that minimise the KLUB to the network that unmasks one by one along it.

A step from n masked down to m keeps the distributions p_i of the state with n masked. Split at k, its second half uses
those of the state with k masked, which lowers the bound by

    saving(n, k, m) = E sum_{i unmasked between k and m} KL(p_i(. | x^(k)) || p_i(. | x^(n))).

It is `jys`'s own formula with a count in place of a time: the next positions of the order take the place of those that
a rate would unmask, and as they come for certain the part of the rates alone is none. States lie on the network's own
paths along the order, one token at a time, on which path-KL's edges are costed too.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.distillation.doubling import Split, best_count, doubled
from lsd_core.distillation.learned import CostKey, Learned, Problem
from lsd_core.paths.divergence import features_at_count, mean_kl
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.samplers.categorical import pieces
from lsd_core.trajectories.replay import hidden_at_count, state_at_count
from lsd_core.trajectories.types import Trajectories


def search_counts(problem: Problem, model: MaskedModel, num_paths: int, iterations: int) -> Learned:
    """JYS counts along the model's order. Cost: l calls a path to draw it, then at most iterations + 3 a (split, path).

    The paths and the search are those of the teacher's seed: all learning seeds share them, on a store too.
    """
    model.check_steps(problem.num_steps)
    reference = model.reference(num_paths * model.length)

    def begin() -> tuple[CountSearch, int]:
        paths, drawn = problem.keep(("paths", reference.key), reference.draw)
        return CountSearch(model, paths, iterations), drawn

    def measure() -> Mapping[str, Any]:
        return _search(problem, model.length, *problem.keep(("jys splits", iterations, reference.key), begin))

    of = (problem.num_steps, iterations, reference.key)
    found = problem.measured_once(CostKey(kind="jys", of=of, stored=False), measure)
    counts = tuple(map(int, found["counts"]))
    return Learned(
        table=model.table(tuple(model.length - count for count in counts)),
        sequences=int(found["sequences"]),
        history={"counts": list(counts), "savings": list(found["savings"])},
    )


def _search(problem: Problem, length: int, search: "CountSearch", drawn: int) -> Mapping[str, Any]:
    """The counts and what each split saves, as JSON; searches for several numbers of steps share their splits."""
    noted: dict[str, list[float]] = {}
    sequences = drawn

    def best_split(n: float, m: float) -> Split | None:
        nonlocal sequences
        split, took = search.best_split(int(n), int(m))
        sequences += took
        return split

    def report(num_steps: int, new: list[float]) -> None:
        problem.progress("splits", num_steps / problem.num_steps)
        for amount in new:
            problem.note(noted, savings=amount)

    points, savings = doubled(problem.num_steps, best_split, report, start=float(length))
    return {"counts": list(map(int, points)), "savings": savings, "sequences": sequences}


class CountSearch:
    """Searches for the best splits over the same paths, each step's once, and what they cost."""

    def __init__(self, model: MaskedModel, paths: Trajectories, iterations: int) -> None:
        self.model, self.iterations, self.num_paths = model, iterations, len(paths)
        self.parts = [paths.select(part) for part in pieces(len(paths), model.batch)]
        self.sequences = 0
        self._found = dict[tuple[int, int], tuple[Split | None, int]]()

    def best_split(self, n: int, m: int) -> tuple[Split | None, int]:
        """Where the step from n to m masked is best split, and the sequences it took, now or before; None for a step of
        one token."""
        if (n, m) not in self._found:
            before = self.sequences
            split = None if n - m == 1 else self._split(n, m)
            self._found[n, m] = split, self.sequences - before
        return self._found[n, m]

    @torch.inference_mode()
    def _split(self, begin: int, end: int) -> Split | None:
        """The state with `begin` masked is sent through the network once."""
        early = [self.features(part, begin) for part in self.parts]

        def mean_saving(k: int) -> float:
            savings = [self.saving(part, seen, k, end) for part, seen in zip(self.parts, early, strict=True)]
            return float(torch.cat(savings).mean())

        return best_count(mean_saving, end, begin, self.iterations)

    def saving(self, paths: Trajectories, early: Tensor, k: int, m: int) -> Float[Tensor, " b"]:
        """The saving path by path, given the features of the step's own state. One call."""
        late = self.features(paths, k)
        where = hidden_at_count(paths, k) & ~hidden_at_count(paths, m)
        return (k - m) * mean_kl(self.model.backbone, late, 1.0, early, 1.0, where)

    def features(self, paths: Trajectories, count: int) -> Tensor:
        self.sequences += len(paths)
        n = torch.full((len(paths),), count)
        return features_at_count(self.model.backbone, state_at_count(paths, n), n)
