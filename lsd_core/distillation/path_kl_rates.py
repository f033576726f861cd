"""Path-KL where there is no mask: the schedule over the teacher's times, and a gain for each Tweedie step."""

from collections.abc import Mapping
from typing import Any

import torch

from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.distillation.gains import Gains, Report, noted
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig
from lsd_core.distillation.prices import EdgePrices
from lsd_core.distillation.rate_gains import settle_rate_gains
from lsd_core.distillation.rate_prices import price_rates
from lsd_core.distillation.schedule import cheapest_schedules
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable

GAINED = "tweedie"  # its steps are exact bridges, so that the reverse bound knows their rates


def fit_rates(problem: Problem, backbone: DenseBackbone, config: PathKLScheduleConfig) -> Learned:
    """The table for one cell; gains only where they are asked for and the base sampler is Tweedie's."""
    prices = _prices(problem, backbone, config.price_sequences)
    num_nodes = len(prices.cost) - 1
    if not 1 <= problem.num_steps <= num_nodes:
        rule = f"lie in 1 .. {num_nodes}, the teacher's times"
        raise InputError("nfe", rule, problem.num_steps, "raise teacher.nodes")
    best = cheapest_schedules(prices.cost, problem.num_steps)[problem.num_steps - 1]
    table = StepTable(times=tuple(1 - node / num_nodes for node in best.nodes))
    diagnostics = {
        "price_nats": best.price,
        "price_sequences": prices.sequences,
        "grid_change": grid_change(prices, problem.num_steps),
    }
    if not isinstance(config, PathKLConfig) or problem.sampler != GAINED:
        return Learned(table=table, sequences=prices.sequences, diagnostics=diagnostics)
    draws = Draws(derive_seed("path_kl", problem.seed), torch.arange(config.gain_paths))
    gains = settle_rate_gains(backbone, table, config.candidates, draws, telling(problem, table))
    return Learned(
        table=gains.table,
        sequences=prices.sequences + gains.sequences,
        history=history(gains, config.candidates),
        diagnostics=diagnostics | {"reverse_bound_nats": gains.bound},
    )


def grid_change(prices: EdgePrices, num_steps: int) -> float:
    """How much the best price changes, as a share of it, when every second time is struck from the grid.

    Small means that a finer grid would not help; NaN where half the grid has too few times.
    """
    coarse = prices.cost[::2, ::2] if len(prices.cost) % 2 else prices.cost[:-1:2, :-1:2]
    if len(coarse) - 1 < num_steps:
        return float("nan")
    fine = cheapest_schedules(prices.cost, num_steps)[-1].price
    return cheapest_schedules(coarse, num_steps)[-1].price / fine - 1


def history(gains: Gains, candidates: tuple[float, ...]) -> dict[str, list[object]]:
    """One entry a step: the gain taken, and the cost of every candidate."""
    steps = [noted(*each) for each in zip(gains.table.gains, gains.curves, gains.errors, strict=True)]
    series = {name: [step[name] for step in steps] for name in ("gains", "cost_nats", "standard_error")}
    return {"candidates": list(candidates), **series}


def telling(problem: Problem, table: StepTable) -> Report:
    """Passes on each step's settled gain to whoever watches the problem."""

    def report(step: int, values: Mapping[str, Any]) -> None:
        problem.progress("gains", (step + 1) / table.num_steps)
        problem.watch(step, values)

    return report


def _prices(problem: Problem, backbone: DenseBackbone, price_sequences: int) -> EdgePrices:
    stored = problem.kept_states
    assert stored.states is not None
    wanted = max(8, price_sequences // stored.states.shape[1])
    name = ("rate prices", problem.sampler, wanted, problem.batch)
    prices: EdgePrices = problem.keep(
        name,
        lambda: price_rates(
            backbone, problem.sampler, stored.select(slice(wanted)), problem.batch, problem.progress
        ),
    )
    return prices
