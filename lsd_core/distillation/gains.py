"""A gain for each step, learned on the student's own states under the reverse bound.

Stop the student's own path with n tokens masked, inside its step k. The reverse bound (METHOD: certificates)

    KL(q_out || p_net) <= sum_{n=1}^{l} E_q mean_{i masked} KL(q_{k,i} || p_i(. | x^(n)))

is a sum over the steps: step k, from n_k masked to n_{k+1}, owns the terms n_k >= n > n_{k+1}. (A sampler with an
order of its own has the position that comes next in place of the mean: `Paths.next_at_count`.) Sharpening
its law costs at once (the term n = n_k, where both have seen the same tokens) and pays inside the step, where
tokens drawn apart contradict each other less. So the steps are settled first to last, each on the states that
the settled ones lead to: all candidate gains start from the same states and draw with the same uniforms, and
so differ by little but the gain.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.paths.divergence import features_at_count, hide, mean_kl
from lsd_core.samplers.euler import Euler
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.one_call import OneCall
from lsd_core.samplers.orders import Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable

Report = Callable[[int, Mapping[str, Any]], None]  # (step, its gain and what every candidate costs there)
# (features, their gain, where) -> mean KL of a step's law from theirs, path by path
Divergence = Callable[[Tensor, float, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Gains:
    """Settled gains, and what each step was measured to cost."""

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
        """Reverse bound of the table in nats; flattered a little, having chosen the gains."""
        return float(self.curves[torch.arange(len(self.chosen)), list(self.chosen)].sum())


@torch.inference_mode()
def settle_gains(
    backbone: Backbone,
    table: StepTable,
    candidates: tuple[float, ...],
    draws: Draws,
    batch: int,
    report: Report = lambda step, values: None,
    method: OneCall | None = None,
) -> Gains:
    """Choose each step's gain among the candidates, first step to last, for a method (Euler if none is given).

    A step takes the sharpest candidate whose cost is within one standard error of the best one's; in an order of the
    sampler's own, where a term is one position's and noisier, the one nearest to 1, so that noise sharpens nothing.
    Cost: one call a (step, path) and one more a candidate, unless the step reveals a single token: then
    nothing is gained by sharpening, and the gain is 1.
    """
    x = backbone.process.prior(len(draws.trajectory), backbone.length, draws.trajectory.device)
    method = method or Euler()
    rank = method.order.rank(draws, backbone.length)

    def attempt(step: Step, x: Tensor) -> Trial:
        return _try_candidates(backbone, method, step, candidates, x, rank, draws, batch)

    rule = sharpest_within_error if method.order.exchangeable else mildest_within_error
    return settle(table, list(steps_of(table, backbone.length)), x, candidates, attempt, report, rule)


def settle(
    table: StepTable,
    steps: list[Step],
    x: Int[Tensor, "b l"],
    candidates: tuple[float, ...],
    attempt: Callable[[Step, Tensor], "Trial"],
    report: Report,
    rule: "Rule | None" = None,
) -> Gains:
    """First step to last: try all candidates from the states x, keep one's gain, go on from where it leads."""
    rule = rule or sharpest_within_error
    curves, errors, chosen, sequences = [], [], [], 0
    for step in steps:
        trial = attempt(step, x)
        pick = rule(trial.costs, candidates)
        curves.append(trial.costs.mean(0))
        errors.append((trial.costs - trial.costs[:, pick : pick + 1]).std(0) / len(x) ** 0.5)
        chosen.append(pick)
        x, sequences = trial.ends[pick], sequences + trial.sequences
        report(step.index, noted(candidates[pick], curves[-1], errors[-1]))
    gains = tuple(candidates[g] for g in chosen)
    return Gains(table.with_gains(gains), torch.stack(curves), torch.stack(errors), tuple(chosen), sequences)


def noted(gain: float, curve: Float[Tensor, " g"], error: Float[Tensor, " g"]) -> dict[str, Any]:
    """A step's entry in the history: the gain taken, the cost of every candidate and its standard error."""
    rounded = {"cost_nats": curve.tolist(), "standard_error": error.tolist()}
    return {"gains": gain} | {name: [round(value, 6) for value in values] for name, values in rounded.items()}


@dataclass(frozen=True, eq=False)
class Trial:
    """What each candidate costs in one step, path by path, and where it leads."""

    costs: Float[Tensor, "b g"]
    ends: list[Tensor]  # states after the step, one (b, l) a candidate
    sequences: int


def _try_candidates(
    backbone: Backbone,
    method: OneCall,
    step: Step,
    candidates: tuple[float, ...],
    x: Int[Tensor, "b l"],
    rank: Int[Tensor, "b l"],
    draws: Draws,
    batch: int,
) -> Trial:
    """One step from the states x with every candidate gain, and what it costs there."""
    assert step.counts is not None
    n, m = step.counts
    inside = _stop_inside(n, m, draws, step.index)
    costs = torch.zeros(len(x), len(candidates), dtype=torch.float64)
    ends: list[list[Tensor]] = [[] for _ in candidates]
    sequences = 0
    for begin in range(0, len(x), batch):
        part = slice(begin, begin + batch)
        own = Draws(draws.seed, draws.trajectory[part])
        start, stop = x[part], inside[part]
        features = features_at_count(backbone, start, torch.full_like(stop, n))
        sequences += len(start)
        for g, gain in enumerate(candidates):
            gained = replace(step, gain=gain, gain_on="log_score")
            seen = MaskedPrediction.of(backbone, start, features, gained)
            end = method.kernel(seen, gained).draw(own, step.index)
            network = None
            if n - m > 1:
                network = features_at_count(
                    backbone, hide(end, rank[part], stop, backbone.process.mask), stop
                )
                sequences += len(start)
            divergence = partial(mean_kl, backbone, features, gain)
            costs[part, g] = _cost(divergence, features, network, rank[part], (n, m), stop, method.order)
            ends[g].append(end)
    return Trial(costs, [torch.cat(parts) for parts in ends], sequences)


def _cost(
    divergence: Divergence,
    start: Tensor,
    network: Tensor | None,
    rank: Int[Tensor, "b l"],
    counts: tuple[int, int],
    stop: Int[Tensor, " b"],
    order: Order,
) -> Float[Tensor, " b"]:
    """A step's terms of the bound, path by path: the one at its start, and the others as the one at `stop` says.

    In an order of the sampler's own the step's positions are known. What sharpening costs at the step's own state
    is then summed over all of them, and the one at `stop` only says what the tokens revealed in between change.
    """
    (n, m), length = counts, rank.shape[1]
    if order.exchangeable:
        cost = divergence(start, 1.0, rank >= length - n)
        if network is None:
            return cost
        return cost + (n - m - 1) * divergence(network, 1.0, rank >= length - stop[:, None])
    cost = (n - m) * divergence(start, 1.0, (rank >= length - n) & (rank < length - m))
    if network is None:
        return cost
    following = rank == length - stop[:, None]
    change = divergence(network, 1.0, following) - divergence(start, 1.0, following)
    return cost + (n - m - 1) * change


Rule = Callable[[Tensor, tuple[float, ...]], int]  # (costs (b, g), candidates) -> the chosen candidate


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


def _stop_inside(n: int, m: int, draws: Draws, step: int) -> Int[Tensor, " b"]:
    """Counts to stop at, uniform on m + 1 .. n - 1 and stratified over the paths; n if there is none."""
    b = len(draws.trajectory)
    if n - m == 1:
        return torch.full((b,), n)
    zero = torch.zeros_like(draws.trajectory)
    shuffle = uniforms(draws.seed, draws.trajectory, step, zero, Purpose.MASK).argsort()
    jitter = uniforms(draws.seed, draws.trajectory, step, zero + 1, Purpose.MASK)
    strata = (shuffle.argsort() + jitter) / b
    return m + 1 + (strata * (n - m - 1)).long().clamp(max=n - m - 2)
