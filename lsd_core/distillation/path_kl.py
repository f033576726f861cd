"""Path-KL: the schedule of least path divergence, and the gains that make its steps agree with themselves.

1. One pass over reference paths gives the cost of every step of every schedule, over mask counts or, on full-state
   processes, over the teacher's times (`paths.masked_model`, `paths.jump_model`).
2. A shortest path with M edges is the best schedule of M steps (`schedule`). Over counts the samplers of one order
   have one distribution, and so one table; the costs of one with an order of its own are taken on the network's own
   paths along that. Where the table holds the order (`learned_order`), it is chosen first (`order_search`). A sampler
   that looks at the tokens has costs along its own choices (`paths.chosen_model`) and, where it decides itself how many
   tokens to unmask, thresholds (`thresholds`).
3. Each step's gain on the log-score is chosen on the sampler's own states under the reverse bound (`gains`). Along
   its own choices a sampler keeps equal quotas where their bound is lower still (`least_bound`).

The bound is a bound, and the entropy that gains cost matters more to some and less to others; so the family has three
members, which the evaluation judges: `path_kl_schedule` (gains 1), `path_kl` (gains as chosen) and `path_kl_sharp`
(their squares).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from lsd_core.distillation.gains import Gains, Report, choose_gains, noted
from lsd_core.distillation.learned import CostKey, Kept, Learned, Problem
from lsd_core.distillation.least_bound import of_least_bound
from lsd_core.distillation.methods import ANY, Method
from lsd_core.distillation.order_search import OrderSearch, search_orders
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig, PathKLSharpConfig
from lsd_core.distillation.path_models import path_model
from lsd_core.distillation.schedule import Schedule, cheapest_schedules
from lsd_core.distillation.thresholds import Thresholds, choose_thresholds
from lsd_core.numerics.canonical import canonical_json, derive_seed
from lsd_core.paths.chosen_model import ChosenModel
from lsd_core.paths.drawn_model import DrawnModel
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import EdgeCosts, PathModel
from lsd_core.samplers.adaptive import WithinBudget
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable

__all__ = ["PathKLConfig", "PathKLScheduleConfig", "PathKLSharpConfig", "fit", "fit_all"]


def fit(problem: Problem, config: PathKLScheduleConfig) -> Learned:
    """The table for one cell. Cost: a call at each node a cost path (twice in an order of the sampler's own), then
    calls a gain path as `choose_gains` says.

    Gains are learned where the settings are a `PathKLConfig` and the reverse bound of the sampler's steps is known.
    """
    return fit_all(problem, config, [problem.num_steps])[problem.num_steps]


@torch.inference_mode()
def fit_all(problem: Problem, config: PathKLScheduleConfig, all_steps: list[int]) -> dict[int, Learned]:
    """The tables for several numbers of steps from one pass over the edges; `problem.num_steps` is not read.

    Each result counts that pass among its sequences; taken together they paid for it once. Along a sampler's own
    choices it serves the numbers of steps whose grids have the same nodes (`paths.chosen_model`).
    """
    if get_sampler(problem.sampler, problem.backbone.process).adaptive and len(all_steps) > 1:
        kept = Kept()
        shared = replace(problem, keep=lambda name, make: kept(name, lambda: problem.keep(name, make)))
        return {each: fit(replace(shared, num_steps=each), config) for each in all_steps}
    model = path_model(problem, config, max(all_steps))
    for num_steps in all_steps:
        model.check_steps(num_steps)
    if isinstance(model, MaskedModel) and model.method.order.learned:
        return _fit_orders(problem, config, model, all_steps)
    return _fit_steps(problem, config, model, _edge_costs(problem, config, model), all_steps)


def _fit_steps(
    problem: Problem,
    config: PathKLScheduleConfig,
    model: PathModel,
    costs: EdgeCosts,
    all_steps: list[int],
) -> dict[int, Learned]:
    """The tables along the model's order, for these costs of its edges."""
    learned = dict[int, Learned]()
    for num_steps in all_steps:
        each = costs.for_steps(num_steps)
        schedule = cheapest_schedules(each.cost, num_steps)[-1]
        learned[num_steps] = _fit_gains(problem, config, model, each, schedule)
    return learned


def _fit_orders(
    problem: Problem, config: PathKLScheduleConfig, model: MaskedModel, all_steps: list[int]
) -> dict[int, Learned]:
    """The tables, each along the order that is best for its number of steps; the search is done once for all."""

    def compute() -> OrderSearch:
        return search_orders(model, config.price_sequences, problem.progress)

    root = model.seed if model.stored is not None and model.stored.reveal_time is None else None
    key = ("orders", config.price_sequences, model.batch, model.teacher_seed or model.seed, root)
    search: OrderSearch = problem.keep(key, compute)
    found, learned = {num_steps: search.best(num_steps) for num_steps in all_steps}, dict[int, Learned]()
    for name in dict.fromkeys(name for name, _ in found.values()):
        each = search.costed[name]
        along, costs = replace(model, permutation=each.order), replace(each.costs, sequences=search.sequences)
        own_steps = [num_steps for num_steps, (taken, _) in found.items() if taken == name]
        learned |= _fit_steps(problem, config, along, costs, own_steps)
    return {
        num_steps: replace(
            learned[num_steps], diagnostics=learned[num_steps].diagnostics | {"order": name, "orders": costs}
        )
        for num_steps, (name, costs) in found.items()
    }


def grid_change(costs: EdgeCosts, num_steps: int) -> float:
    """How much the best cost changes, as a share of it, when every second time is struck from the grid.

    Small means that a finer grid would not help; NaN where half the grid has too few times.
    """
    last = len(costs.cost) - 1
    kept = torch.tensor([*range(0, last, 2), last])  # both ends, whatever lies between them
    coarse = costs.cost[kept][:, kept]
    if len(coarse) - 1 < num_steps:
        return float("nan")
    fine = cheapest_schedules(costs.cost, num_steps)[-1].cost
    return cheapest_schedules(coarse, num_steps)[-1].cost / fine - 1


def _edge_costs(problem: Problem, config: PathKLScheduleConfig, model: PathModel) -> EdgeCosts:
    """Costs of all edges: the same for every cell and member of the family on these paths, measured once for all."""
    reference = model.reference(config.price_sequences)

    def measure() -> Mapping[str, Any]:
        paths, drawn = reference.draw()
        costs = model.edge_costs(paths, problem.progress)
        return replace(costs, sequences=costs.sequences + drawn).to_dict()

    key = CostKey(kind="edge costs", of=reference.key, stored=reference.stored)
    return EdgeCosts.from_dict(problem.measured_once(key, measure))


def _fit_gains(
    problem: Problem, config: PathKLScheduleConfig, model: PathModel, costs: EdgeCosts, schedule: Schedule
) -> Learned:
    """The schedule with its gains, and a record of what was measured."""
    table, sequences = model.table(schedule.nodes), costs.sequences
    diagnostics: dict[str, Any] = {"price_nats": schedule.cost, "price_sequences": costs.sequences}
    if isinstance(model, ChosenModel) and isinstance(model.method, WithinBudget):
        found = _thresholds(problem, config, model, costs, table)
        table, sequences = found.table, sequences + found.sequences
        diagnostics["threshold_nats"] = list(found.nats)
    if costs.own is None:
        diagnostics["grid_change"] = grid_change(costs, schedule.num_steps)
    else:
        diagnostics["teacher_nats"] = costs.own
    learned = Learned(table=table, sequences=sequences, diagnostics=diagnostics)
    if isinstance(config, PathKLConfig) and model.learns_gains:
        gains = _gains(problem, config, model, table)
        learned = Learned(
            table=gains.table,
            sequences=sequences + gains.sequences,
            history=_history(gains, config.candidates),
            diagnostics=diagnostics | {"reverse_bound_nats": gains.bound},
        )
    if isinstance(model, ChosenModel | DrawnModel) and table.thresholds is None:
        learned = of_least_bound(problem, learned, config.price_sequences)
    if isinstance(config, PathKLConfig):
        learned = replace(learned, table=_sharpened(learned.table, config.sharpness))
    return learned


def _thresholds(
    problem: Problem, config: PathKLScheduleConfig, model: ChosenModel, costs: EdgeCosts, schedule: StepTable
) -> Thresholds:
    """The thresholds for a schedule: chosen once for all seeds and members of the family."""
    limit = config.price_sequences
    of = (model.reference(limit).key, schedule.counts, limit)
    key = CostKey(kind="thresholds", of=of, stored=False)
    found = problem.measured_once(key, lambda: choose_thresholds(model, schedule, costs, limit).to_dict())
    return Thresholds.from_dict(found)


def _gains(problem: Problem, config: PathKLConfig, model: PathModel, table: StepTable) -> Gains:
    """The gains along a schedule: chosen once for the members of the family, which differ in their sharpness.

    Who finds them chosen reports them all the same.
    """
    reported, report = set[int](), _reporting(problem, table)

    def measure() -> Mapping[str, Any]:
        def first(step: int, values: Mapping[str, Any]) -> None:
            reported.add(step)
            report(step, values)

        draws = Draws(derive_seed("path_kl", problem.seed), torch.arange(config.gain_paths))
        return choose_gains(model, table, config.candidates, draws, first).to_dict()

    asked = (config.candidates, config.gain_paths, problem.seed, problem.batch)
    of = (problem.sampler, canonical_json(table.to_dict()), *asked)
    key = CostKey(kind="gains", of=of, stored=False, of_one_seed=True)
    gains = Gains.from_dict(problem.measured_once(key, measure))
    for step, values in enumerate(zip(gains.table.gains, gains.curves, gains.errors, strict=True)):
        if step not in reported:
            report(step, noted(*values))
    return gains


def _sharpened(table: StepTable, sharpness: float) -> StepTable:
    """Gains to the power of the sharpness; a gain of 1 is unchanged."""
    return table if sharpness == 1 else table.with_gains(tuple(gain**sharpness for gain in table.gains))


def _history(gains: Gains, candidates: tuple[float, ...]) -> dict[str, list[object]]:
    """One entry a step: the gain taken, and the cost of every candidate."""
    steps = [noted(*each) for each in zip(gains.table.gains, gains.curves, gains.errors, strict=True)]
    series = {name: [step[name] for step in steps] for name in ("gains", "cost_nats", "standard_error")}
    return {"candidates": list(candidates), **series}


def _reporting(problem: Problem, table: StepTable) -> Report:
    """Passes each step's chosen gain on to `problem.watch`."""

    def report(step: int, values: Mapping[str, Any]) -> None:
        problem.progress("gains", (step + 1) / table.num_steps)
        problem.watch(step, values)

    return report


def _same_as_before(sampler: Sampler) -> bool:
    """Along its own choices costs are shared by all numbers of steps; elsewhere tables are those of version 1."""
    return not sampler.adaptive


RESCALED = Method(
    name="path_kl_rescaled",
    kind="control",
    description="path_kl learned with nothing given, its table rescaled for what is",
    config_class=PathKLConfig,
    fit=fit,
    reads_paths=True,
    grid="counts",
    conditional="rescaled",
    sweep=True,
)
PATH_KL_SCHEDULE = Method(
    version=2,
    unchanged_in=_same_as_before,
    name="path_kl_schedule",
    kind="learned",
    description="the schedule of least path divergence, by dynamic programming; gains 1",
    config_class=PathKLScheduleConfig,
    fit=fit,
    processes=ANY,
    grid="counts",
    conditional="learned",
)
PATH_KL = Method(
    version=2,
    unchanged_in=_same_as_before,
    name="path_kl",
    kind="learned",
    description="that schedule, and a gain a step chosen under the reverse bound",
    config_class=PathKLConfig,
    fit=fit,
    processes=ANY,
    grid="counts",
    conditional="learned",
)
PATH_KL_SHARP = Method(
    version=2,
    unchanged_in=_same_as_before,
    name="path_kl_sharp",
    kind="learned",
    description="path_kl with its gains squared: fewer errors than the bound asks for, at a cost in diversity",
    config_class=PathKLSharpConfig,
    fit=fit,
    processes=ANY,
    grid="counts",
    conditional="learned",
)
