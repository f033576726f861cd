"""The controls that every learned sampler is held against: tables that nobody had to learn."""

from dataclasses import dataclass

from lsd_core.distillation.learned import Learned, Problem
from lsd_core.distillation.methods import ANY, Method
from lsd_core.errors import InputError
from lsd_core.samplers.catalog import steps_in_counts
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times, uniform_times


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """Nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class TemperatureConfig:
    """A plain sampler that draws from cooled laws."""

    temperature: float | None = None
    """Log-scores are divided by it; None leaves them, for a sweep to choose."""

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise InputError("temperature.temperature", "be positive and finite", self.temperature)


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


def fit_plain(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(plain(problem.sampler, problem.num_steps, problem.backbone.length))


def fit_cosine(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(cosine(problem.sampler, problem.num_steps, problem.backbone.length))


def fit_temperature(problem: Problem, config: TemperatureConfig) -> Learned:
    chosen = 1.0 if config.temperature is None else config.temperature
    return _settled(temperature(problem.sampler, problem.num_steps, problem.backbone.length, chosen))


def fit_theta_trapezoidal(problem: Problem, config: ControlConfig) -> Learned:
    return _settled(theta_trapezoidal(problem.num_steps))


def _settled(table: StepTable) -> Learned:
    return Learned(table=table, sequences=0)


def _on_grid_of(sampler: str, table: StepTable, length: int) -> StepTable:
    return counts_from_times(table, length) if steps_in_counts(sampler) else table


PLAIN = Method(
    name="plain",
    kind="control",
    description="uniform steps, nothing learned: the baseline",
    config_class=ControlConfig,
    fit=fit_plain,
    processes=ANY,
    sweep=True,
)
COSINE = Method(
    name="cosine",
    kind="control",
    description="the cosine schedule: few reveals first, many last",
    config_class=ControlConfig,
    fit=fit_cosine,
    processes=ANY,
)
TEMPERATURE = Method(
    name="temperature",
    kind="control",
    description="plain steps that draw from cooled laws",
    config_class=TemperatureConfig,
    fit=fit_temperature,
    processes=ANY,
)
THETA_TRAPEZOIDAL = Method(
    name="theta_trapezoidal",
    kind="control",
    description="uniform steps of the two-call theta-trapezoidal sampler",
    config_class=ControlConfig,
    fit=fit_theta_trapezoidal,
    own_sampler="theta_trapezoidal",
    processes=ANY,
)
