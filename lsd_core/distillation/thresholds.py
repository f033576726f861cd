"""A threshold for each step of a sampler that decides itself how many tokens to unmask.

A schedule of the sampler that unmasks quotas by the same doubts says how far down a step should go on average: the mean
of the thresholds that would have just let its quota through, read off the curves that were measured with the costs of
edges (`paths.chosen_model`). A sample that is sure of more then takes more in that step, and has less left for the last
one. The best schedule and equal quotas are tried, then the better one's thresholds loosened or tightened by a common
factor, and the least reverse bound decides, with the cap on calls in force: thresholds that are too tight pay in the
last step.

Cost: for each table that is tried what a certificate costs on as many paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from lsd_core.distillation.controls import plain
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.masked_terms import stopped_mean
from lsd_core.paths.model import LEAST_PATHS, EdgeCosts
from lsd_core.paths.sampler_paths import own_paths
from lsd_core.samplers.adaptive import WithinBudget
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable

FACTORS = (0.5, 0.7, 1.4, 2.0)
"""Beside 1."""
STOPS = 2


@dataclass(frozen=True)
class Thresholds:
    """A table with its thresholds, and what every candidate was measured to cost."""

    table: StepTable
    nats: tuple[float, ...]
    """Reverse bound of each start, then of the better one with each of `FACTORS`, on the same uniforms."""
    sequences: int
    """Sequences sent through the network."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON, from which the same bits are read."""
        return {"table": self.table.to_dict(), "nats": list(self.nats), "sequences": self.sequences}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> "Thresholds":
        nats = tuple(map(float, record["nats"]))
        return Thresholds(StepTable.from_dict(record["table"]), nats, int(record["sequences"]))


@torch.inference_mode()
def choose_thresholds(
    model: ChosenModel, schedule: StepTable, costs: EdgeCosts, max_sequences: int
) -> Thresholds:
    """Thresholds for as many steps as the schedule has; they start from its quotas, and from equal ones."""
    method, num_steps = model.method, schedule.num_steps
    assert isinstance(method, WithinBudget)
    starts = dict.fromkeys((schedule, plain(model.rule, num_steps, model.length)))
    each = (len(starts) + len(FACTORS)) * (num_steps + 2 * STOPS)
    num_paths = max(LEAST_PATHS, max_sequences // each)
    draws = Draws(derive_seed("path_kl thresholds", model.root), torch.arange(num_paths))
    tables, nats, sequences = list[StepTable](), list[float](), 0

    def attempt(table: StepTable) -> None:
        nonlocal sequences
        own, drawn = own_paths(model.backbone, method.name, table, draws, model.batch)
        values = stopped_mean(model.backbone, table, own, None, "reverse", draws, model.batch, STOPS)
        tables.append(table)
        nats.append(float(values.mean()))
        sequences += drawn + 2 * STOPS * num_paths

    for start in starts:
        attempt(replace(start, thresholds=_levels(model, start, costs)))
    better = tables[nats.index(min(nats))]
    assert better.thresholds is not None
    for factor in FACTORS:
        attempt(replace(better, thresholds=tuple(method.loosened(t, factor) for t in better.thresholds)))
    return Thresholds(tables[nats.index(min(nats))], tuple(nats), sequences)


def _levels(model: ChosenModel, table: StepTable, costs: EdgeCosts) -> tuple[float, ...]:
    """The threshold that lets a step's quota through on average, at the node nearest to its start."""
    assert table.counts is not None
    found = list[float]()
    for n, m in pairwise(table.counts):
        node = min(range(model.num_nodes), key=lambda node: abs(model.counts[node] - n))
        at = model.counts[node]
        quota = min(at, max(1, round((n - m) * at / n)))
        found.append(costs.levels[node][quota - 1])
    return tuple(found)
