"""The controls that every learned sampler is held against: tables that nobody had to learn.

In the cells of `learned_order`, whose tables hold the order too, theirs is Halton's without a shift.
"""

from dataclasses import dataclass

from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import ANY, Method
from lsd_core.errors import InputError
from lsd_core.samplers.catalog import in_order_of, steps_in_counts
from lsd_core.samplers.protocol import Sampler
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times, uniform_times


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """Nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class TemperatureConfig:
    """A plain sampler that draws at a temperature."""

    temperature: float | None = None
    """Log-scores are divided by it; None leaves them, for a sweep to choose."""

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise InputError("temperature.temperature", "be positive and finite", self.temperature)


@dataclass(frozen=True, kw_only=True)
class HalvingConfig:
    """Nothing to choose."""

    def check_sampler(self, sampler: Sampler) -> None:
        """Raise InputError for a sampler that has no order of combs to halve."""
        if sampler.grids != {"counts"} or sampler.order.exchangeable:
            rule = "step in counts along an order that is not uniform, for `halving`"
            raise InputError("sampler", rule, sampler.name, "choose `halton`")


def plain(sampler: str, num_steps: int, length: int) -> StepTable:
    """Uniform steps in time or, for a sampler of counts, in numbers of masked tokens; gains 1."""
    return _on_grid_of(sampler, uniform_times(num_steps), length)


def cosine(sampler: str, num_steps: int, length: int) -> StepTable:
    """The cosine schedule: few reveals first, many last; gains 1."""
    return _on_grid_of(sampler, cosine_times(num_steps), length)


def temperature(sampler: str, num_steps: int, length: int, temperature: float) -> StepTable:
    """Plain steps at one temperature: a log-score gain of 1 / temperature at every step."""
    return plain(sampler, num_steps, length).with_gains(1 / temperature)


def theta_trapezoidal(num_steps: int) -> StepTable:
    """Uniform times for the sampler of that name; a budget of NFE calls pays for NFE / 2 of its steps."""
    return uniform_times(num_steps)


def halving(num_steps: int, length: int) -> StepTable:
    """Counts whose last step unmasks l/2 tokens, the one before l/4, ...; the first takes what is left; gains 1.

    In an order of combs (Halton) each step then doubles a comb, and where tokens depend on each other through what
    lies between them, such a step is exact. With more steps than log2(l) + 1 the largest are cut in two, the later of
    equals first.
    """
    if num_steps > length:
        raise InputError("nfe", f"be at most the length {length} when stepping in counts", num_steps)
    sizes = list[int]()
    left = length  # the last step first
    while len(sizes) < num_steps - 1 and left > 1:
        sizes.append((left + 1) // 2)
        left -= sizes[-1]
    sizes.append(left)
    while len(sizes) < num_steps:
        largest = sizes.index(max(sizes))
        sizes[largest : largest + 1] = [(sizes[largest] + 1) // 2, sizes[largest] // 2]
    counts = [0]
    for size in sizes:
        counts.append(counts[-1] + size)
    return StepTable(counts=tuple(reversed(counts)))


def fit_plain(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(plain(problem.sampler, problem.num_steps, problem.backbone.length))


def fit_cosine(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(cosine(problem.sampler, problem.num_steps, problem.backbone.length))


def fit_temperature(problem: Problem, config: TemperatureConfig) -> Learned:
    chosen = 1.0 if config.temperature is None else config.temperature
    return _settled(temperature(problem.sampler, problem.num_steps, problem.backbone.length, chosen))


def fit_theta_trapezoidal(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(theta_trapezoidal(problem.num_steps))


def fit_halving(problem: Problem, config: HalvingConfig) -> Learned:
    return _settled(in_order_of(problem.sampler, halving(problem.num_steps, problem.backbone.length)))


def _settled(table: StepTable) -> Learned:
    return Learned(table=table, sequences=0)


def _on_grid_of(sampler: str, table: StepTable, length: int) -> StepTable:
    return in_order_of(sampler, counts_from_times(table, length)) if steps_in_counts(sampler) else table


PLAIN = Method(
    name="plain",
    kind="control",
    description="uniform steps, nothing learned: the baseline",
    config_class=ControlConfig,
    conditional="unchanged",
    fit=fit_plain,
    processes=ANY,
    sweep=True,
)
COSINE = Method(
    name="cosine",
    kind="control",
    description="the cosine schedule: few reveals first, many last",
    config_class=ControlConfig,
    conditional="unchanged",
    fit=fit_cosine,
    processes=ANY,
    sweep=True,
)
TEMPERATURE = Method(
    name="temperature",
    kind="control",
    description="plain steps that draw at a temperature",
    config_class=TemperatureConfig,
    conditional="unchanged",
    fit=fit_temperature,
    processes=ANY,
)
THETA_TRAPEZOIDAL = Method(
    name="theta_trapezoidal",
    kind="control",
    description="uniform steps of the two-call theta-trapezoidal sampler",
    config_class=ControlConfig,
    conditional="unchanged",
    fit=fit_theta_trapezoidal,
    own_sampler="theta_trapezoidal",
    processes=ANY,
    sweep=True,
)
HALVING = Method(
    name="halving",
    kind="control",
    description="half of what is masked in the last step, a quarter in the one before: for orders of combs",
    config_class=HalvingConfig,
    conditional="unchanged",
    fit=fit_halving,
    grid="counts",
    sweep=True,
)
FIXED_COUNTS = Method(
    name="fixed_counts",
    kind="control",
    description="equal numbers of tokens a step, in uniform order: what stepping in counts does by itself",
    config_class=ControlConfig,
    conditional="unchanged",
    fit=fit_plain,
    own_sampler="fixed_counts",
    grid="counts",
    sweep=True,
)
CONFIDENCE_DRAWN = Method(
    name="confidence_drawn",
    kind="control",
    description="equal numbers of tokens a step, the likeliest draws first: confidence-based unmasking",
    config_class=ControlConfig,
    conditional="unchanged",
    fit=fit_plain,
    own_sampler="confidence_drawn",
    grid="counts",
    sweep=True,
)
