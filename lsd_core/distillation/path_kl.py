"""Path-KL: the schedule of least path divergence, and the gains that make its steps agree with themselves.

1. One pass over teacher paths prices every step of every schedule, over mask counts (`prices`) or, where there
   is no mask, over the teacher's times (`rate_prices`).
2. A shortest path with M edges is the best schedule of M steps (`schedule`). Over counts the samplers of one order
   have one law, and so one table; one with an order of its own is priced on the network's own paths along that.
3. Each step's gain on the log-score is settled on the student's own states under the reverse bound (`gains`,
   `rate_gains`).

The bound is a bound, and entropy is dear to some and cheap to others; so the family has three members, which the
evaluation judges: `path_kl_schedule` (gains 1), `path_kl` (gains as settled) and `path_kl_sharp` (their squares).
"""

from dataclasses import replace
from itertools import pairwise

import torch

from lsd_core.backbones.protocol import is_dense
from lsd_core.distillation.gains import settle_gains
from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import ANY, Method
from lsd_core.distillation.path_kl_config import PathKLConfig, PathKLScheduleConfig, PathKLSharpConfig
from lsd_core.distillation.path_kl_rates import fit_rates, history, telling
from lsd_core.distillation.prices import EdgePrices, price_counts
from lsd_core.distillation.schedule import cheapest_schedules
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.paths.sampler_paths import named, one_at_a_time
from lsd_core.paths.teacher_paths import TeacherPaths
from lsd_core.samplers.order import Order
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable

__all__ = ["PathKLConfig", "PathKLScheduleConfig", "PathKLSharpConfig", "fit", "fit_all"]


def fit(problem: Problem, config: PathKLScheduleConfig) -> Learned:
    """The table for one cell. Cost: l calls a price path (2 l in an order of the sampler's own), then calls a gain
    path as `settle_gains` says.

    Gains are learned where the settings are a `PathKLConfig`.

    Where there is no mask a price path costs a call at each of the teacher's times.
    """
    if is_dense(problem.backbone):
        return _sharpened(fit_rates(problem, problem.backbone, config), config)
    return fit_all(problem, config, [problem.num_steps])[problem.num_steps]


@torch.inference_mode()
def fit_all(problem: Problem, config: PathKLScheduleConfig, all_steps: list[int]) -> dict[int, Learned]:
    """The tables for several numbers of steps from one pricing pass; `problem.num_steps` is not read.

    Each result counts the pricing pass among its sequences; taken together they paid for it once.
    """
    length = problem.absorbing.length
    config.check_sampler(named(problem.sampler, problem.absorbing))
    for num_steps in all_steps:
        if not 1 <= num_steps <= length:
            raise InputError("nfe", f"lie in 1 .. {length}, the length, when stepping in counts", num_steps)
    prices = _prices(problem, config)
    schedules = cheapest_schedules(prices.cost, max(all_steps))
    learned = {}
    for num_steps in all_steps:
        counts = tuple(length - node for node in schedules[num_steps - 1].nodes)
        table = StepTable(counts=counts)
        learned[num_steps] = _sharpened(_with_gains(problem, config, table, prices), config)
    return learned


def _prices(problem: Problem, config: PathKLScheduleConfig) -> EdgePrices:
    """Prices over counts: the same for every cell of an order and member of the family, and paid for once by all."""
    order = named(problem.sampler, problem.absorbing).order
    if not order.exchangeable:
        return _prices_in_order(problem, config, order)
    wanted = max(8, config.price_sequences // problem.absorbing.length)
    stored = problem.trajectories.select(slice(wanted)) if problem.trajectories else None
    # Where paths do not say when inside a teacher's step a token came, the seed does.
    seed = problem.seed if stored is not None and stored.reveal_time is None else None

    def price() -> EdgePrices:
        paths = TeacherPaths.read(stored, problem.seed)
        return price_counts(
            problem.absorbing, paths, problem.batch, pooled=config.pooled, progress=problem.progress
        )

    name = ("prices", wanted, config.pooled, problem.batch, seed)
    prices: EdgePrices = problem.keep(name, price)
    return prices


def _prices_in_order(problem: Problem, config: PathKLScheduleConfig, order: Order) -> EdgePrices:
    """Prices on paths of the network revealing one token at a time in the order, which are drawn first.

    An inconsistent network has another law in every order. On tokens of its uniform order what an edge costs is
    mostly how far these laws are apart; on its own paths it is the divergence from revealing one by one, at a small
    variance. Drawn from the teacher's seed, they are the same for all that read the same teacher.
    """
    wanted = max(8, config.price_sequences // problem.absorbing.length)
    root = problem.seed if problem.teacher_seed is None else problem.teacher_seed
    draws = Draws(derive_seed("path_kl order", root), torch.arange(wanted))

    def price() -> EdgePrices:
        paths, drawn = one_at_a_time(problem.absorbing, problem.sampler, draws, problem.batch)
        priced = price_counts(problem.absorbing, paths, problem.batch, progress=problem.progress)
        return replace(priced, sequences=priced.sequences + drawn)

    prices: EdgePrices = problem.keep(("prices", wanted, problem.batch, order.name, root), price)
    return prices


def _sharpened(learned: Learned, config: PathKLScheduleConfig) -> Learned:
    """The gains to the power of the sharpness; where the bound wants none, a gain of 1, there is none."""
    if not isinstance(config, PathKLConfig) or config.sharpness == 1:
        return learned
    gains = tuple(gain**config.sharpness for gain in learned.table.gains)
    return replace(learned, table=learned.table.with_gains(gains))


def _with_gains(
    problem: Problem, config: PathKLScheduleConfig, table: StepTable, prices: EdgePrices
) -> Learned:
    """Settle the gains of a schedule and write down what was seen."""
    nodes = [problem.absorbing.length - n for n in table.counts or ()]
    price = sum(float(prices.cost[i, j]) for i, j in pairwise(nodes))
    diagnostics = {"price_nats": price, "teacher_nats": prices.own, "price_sequences": prices.sequences}
    if not isinstance(config, PathKLConfig):
        return Learned(table=table, sequences=prices.sequences, diagnostics=diagnostics)
    draws = Draws(derive_seed("path_kl", problem.seed), torch.arange(config.gain_paths))
    told = telling(problem, table)
    method = named(problem.sampler, problem.absorbing)
    gains = settle_gains(problem.absorbing, table, config.candidates, draws, problem.batch, told, method)
    return Learned(
        table=gains.table,
        sequences=prices.sequences + gains.sequences,
        history=history(gains, config.candidates),
        diagnostics=diagnostics | {"reverse_bound_nats": gains.bound},
    )


PATH_KL_SCHEDULE = Method(
    name="path_kl_schedule",
    kind="learned",
    description="the schedule of least path divergence, by dynamic programming; gains 1",
    config_class=PathKLScheduleConfig,
    fit=fit,
    processes=ANY,
)
PATH_KL = Method(
    name="path_kl",
    kind="learned",
    description="that schedule, and a gain a step settled under the reverse bound",
    config_class=PathKLConfig,
    fit=fit,
    processes=ANY,
)
PATH_KL_SHARP = Method(
    name="path_kl_sharp",
    kind="learned",
    description="path_kl with its gains squared: fewer errors than the bound asks for, at a price in diversity",
    config_class=PathKLSharpConfig,
    fit=fit,
    processes=ANY,
)
