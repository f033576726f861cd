"""A gain for each step, chosen on the sampler's own states under the reverse bound.

The bound is a sum over the steps (`paths.model`), so gains are chosen first step to last, each on the states that
the chosen ones lead to.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.paths.model import PathModel
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

Report = Callable[[int, Mapping[str, Any]], None]  # (step, its gain and what every candidate costs there)


@dataclass(frozen=True, eq=False)
class Gains:
    """Chosen gains, and what each step was measured to cost."""

    table: StepTable
    """The schedule with its gains."""
    curves: Float[Tensor, "m g"]
    """Cost of each step in nats at each candidate, on the states the steps before it lead to."""
    errors: Float[Tensor, "m g"]
    """Standard errors of the difference to the step's chosen candidate."""
    chosen: tuple[int, ...]
    """Index of each step's candidate."""
    sequences: int
    """Sequences sent through the network."""

    @property
    def bound(self) -> float:
        """Reverse bound of the table in nats; biased low, estimated on the paths that chose the gains."""
        return float(self.curves[torch.arange(len(self.chosen)), list(self.chosen)].sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON, from which the same bits are read."""
        return {
            "table": self.table.to_dict(),
            "cost_nats": self.curves.tolist(),
            "standard_error": self.errors.tolist(),
            "chosen": list(self.chosen),
            "sequences": self.sequences,
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> "Gains":
        curves, errors = (
            torch.tensor(record[name], dtype=torch.float64) for name in ("cost_nats", "standard_error")
        )
        table, chosen = StepTable.from_dict(record["table"]), tuple(map(int, record["chosen"]))
        return Gains(table, curves, errors, chosen, int(record["sequences"]))


@torch.inference_mode()
def choose_gains(
    model: PathModel,
    table: StepTable,
    candidates: tuple[float, ...],
    draws: Draws,
    report: Report = lambda step, values: None,
) -> Gains:
    """Choose each step's gain on the log-score among the candidates, first step to last.

    A step takes the sharpest candidate whose cost is within one standard error of the best one's; where a term of the
    bound is one position's and so noisier, the one nearest to 1, so that noise sharpens nothing.
    Cost: one call a (step, path), and `model.calls_per_gain` more a candidate.
    """
    rule = sharpest_within_error if model.exchangeable else mildest_within_error
    x, curves, errors, chosen, sequences = model.start(draws), [], [], [], 0
    for step in steps_of(table, model.length):
        costs, ends = _try(model, step, candidates, x, draws)
        pick = rule(costs, candidates)
        curves.append(costs.mean(0))
        errors.append((costs - costs[:, pick : pick + 1]).std(0) / len(x) ** 0.5)
        chosen.append(pick)
        sequences += (1 + len(candidates) * model.calls_per_gain(step)) * len(x)
        x = ends[pick]
        report(step.index, noted(candidates[pick], curves[-1], errors[-1]))
    gains = tuple(candidates[g] for g in chosen)
    return Gains(table.with_gains(gains), torch.stack(curves), torch.stack(errors), tuple(chosen), sequences)


def _try(
    model: PathModel, step: Step, candidates: tuple[float, ...], x: Tensor, draws: Draws
) -> tuple[Float[Tensor, "b g"], list[Int[Tensor, "b l"]]]:
    """One step from the states x with every candidate: its cost path by path, and the states it leads to."""
    costs = torch.zeros(len(x), len(candidates), dtype=torch.float64)
    ends = [torch.empty_like(x) for _ in candidates]
    for rows, attempt in model.attempts(step, x, draws):
        for g, gain in enumerate(candidates):
            costs[rows, g], ends[g][rows] = attempt(gain)
    return costs, ends


def noted(gain: float, curve: Float[Tensor, " g"], error: Float[Tensor, " g"]) -> dict[str, Any]:
    """A step's entry in the history: the gain taken, the cost of every candidate and its standard error."""
    rounded = {"cost_nats": curve.tolist(), "standard_error": error.tolist()}
    return {"gains": gain} | {name: [round(value, 6) for value in values] for name, values in rounded.items()}


def sharpest_within_error(costs: Float[Tensor, "b g"], candidates: tuple[float, ...]) -> int:
    """The sharpest candidate whose mean cost is within a standard error of the best one's."""
    return max(_within_error(costs), key=lambda g: candidates[g])


def mildest_within_error(costs: Float[Tensor, "b g"], candidates: tuple[float, ...]) -> int:
    """The candidate nearest to 1, by its ratio, whose mean cost is within a standard error of the best one's."""
    return min(_within_error(costs), key=lambda g: abs(math.log(candidates[g])))


def _within_error(costs: Float[Tensor, "b g"]) -> list[int]:
    mean = costs.mean(0)
    best = int(mean.argmin())
    error = (costs - costs[:, best : best + 1]).std(0) / len(costs) ** 0.5
    return [g for g in range(costs.shape[1]) if mean[g] - mean[best] <= error[g]]
