"""The methods that fill a cell, by name: controls, and what learns from trajectories.

A method is a module with `fit(problem, config) -> Learned` and a frozen dataclass of settings. Modules are
imported when first used, so listing the names costs nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from lsd_core.distillation.learned import Learned, Problem
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Process
from lsd_core.samplers.catalog import SAMPLERS, get_sampler

BASELINE = "plain"
TEMPERATURE = "temperature"
ANY = ("absorbing", "uniform", "gaussian")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to choose a StepTable."""

    name: str
    kind: Literal["control", "learned"]
    """What is learned must beat every control to hold an alias."""
    description: str
    module: str
    """Where it lives, below lsd_core.distillation."""
    config_name: str
    """Name of the frozen dataclass of its settings."""
    fit_name: str = "fit"
    """Name of its function (problem, config) -> Learned."""
    own_sampler: str | None = None
    """The base sampler it brings, whatever the cell's; its steps are what the budget pays for there."""
    reads_paths: bool = False
    """Whether a control looks at teacher paths too; what is learned always does."""
    processes: tuple[str, ...] = ("absorbing",)
    """Kinds of forward processes it is for."""
    sweep: bool = False
    """Whether it is measured at a sweep of temperatures, for the comparison at equal diversity."""

    @property
    def learned(self) -> bool:
        """Whether it is a candidate that must beat the controls."""
        return self.kind == "learned"

    @property
    def needs_paths(self) -> bool:
        """Whether it needs trajectories, and chooses its table anew for each seed."""
        return self.learned or self.reads_paths

    def counts(self, process: Process) -> bool:
        """Whether its tables count masked tokens, so that a budget is at most the length."""
        return self.module == "path_kl" and isinstance(process, Absorbing)

    @property
    def available(self) -> bool:
        """Whether its module and its sampler are there."""
        return find_spec(self._path) is not None and self.own_sampler in (None, *SAMPLERS)

    @property
    def config_class(self) -> type:
        """The frozen dataclass of its settings."""
        loaded: type = getattr(self._loaded, self.config_name)
        return loaded

    def check_process(self, process: Process) -> None:
        """Raise InputError where it is not for that process; the remedy names the methods that are."""
        if process.kind not in self.processes:
            known = ", ".join(method_names(process))
            rule = f"be for the process of the backbone, which is {process.kind}"
            raise InputError("method", rule, self.name, f"choose among {known}")

    def check_sampler(self, name: str, process: Process, config: Any) -> None:
        """Raise InputError where, with these settings, it cannot fill the cells of that base sampler."""
        check = getattr(config, "check_sampler", None)  # controls take all
        if check is not None and isinstance(process, Absorbing):
            check(get_sampler(name, process))

    def serves(self, name: str, process: Process, settings: Mapping[str, Any]) -> bool:
        """Whether it can fill the cells of that base sampler; one that brings its own fills all."""
        if self.own_sampler is not None:
            return True
        try:
            self.check_sampler(name, process, self.config(settings))
        except InputError:
            return False
        return True

    def config(self, settings: Mapping[str, Any]) -> Any:
        """Its settings, defaults filled in; raises InputError for a name it does not have."""
        known = [field.name for field in fields(self.config_class)]
        for name in settings:
            if name not in known:
                rule = f"be one of {known}" if known else "not be given: there is nothing to set"
                raise InputError(f"setting of {self.name}", rule, name)
            if not _is_finite(settings[name]):
                raise InputError(f"{self.name}.{name}", "be finite", settings[name])
        values = {name: _frozen(value) for name, value in settings.items()}
        try:
            return self.config_class(**values)
        except TypeError as error:  # a string where a number belongs, and the like
            rule = f"be of the kinds of {asdict(self.config_class())}"
            raise InputError(f"settings of {self.name}", rule, dict(settings), str(error)) from None

    def settings(self, config: Any) -> dict[str, Any]:
        """The settings as JSON, every one of them; `config` reads them back."""
        record: dict[str, Any] = _thawed(asdict(config))
        return record

    def fit(self, problem: Problem, config: Any) -> Learned:
        """The table for a cell."""
        run: Callable[[Problem, Any], Learned] = getattr(self._loaded, self.fit_name)
        return run(problem, config)

    @cached_property
    def _loaded(self) -> Any:
        return import_module(self._path)

    @property
    def _path(self) -> str:
        return f"lsd_core.distillation.{self.module}"


def _control(name: str, description: str, **others: Any) -> Method:
    return Method(
        name=name,
        kind="control",
        description=description,
        module="controls",
        config_name=others.pop("config_name", "ControlConfig"),
        fit_name=f"fit_{name}",
        **others,
    )


def _learned(name: str, description: str, config_name: str, **others: Any) -> Method:
    module = others.pop("module", name)
    return Method(
        name=name, kind="learned", description=description, module=module, config_name=config_name, **others
    )


_ALL = (
    _control("plain", "uniform steps, nothing learned: the baseline", sweep=True, processes=ANY),
    _control("cosine", "the cosine schedule: few reveals first, many last", sweep=True, processes=ANY),
    _control(
        "temperature",
        "plain steps that draw from cooled laws",
        config_name="TemperatureConfig",
        processes=ANY,
    ),
    _control(
        "theta_trapezoidal",
        "uniform steps of the two-call theta-trapezoidal sampler",
        own_sampler="theta_trapezoidal",
        sweep=True,
        processes=ANY,
    ),
    Method(
        name="jys",
        kind="control",
        description="times that minimise the KLUB, by golden section and doubling",
        module="jys",
        config_name="JYSConfig",
        reads_paths=True,
        sweep=True,
    ),
    _learned(
        "lsd",
        "a gain a step that aligns the student's scores with the teacher's",
        "LSDConfig",
        processes=ANY,
    ),
    _learned("lsd_plus", "LSD with learned times: aligns what a step does, not its score", "LSDPlusConfig"),
    _learned(
        "lsd_plus_literal",
        "LSD+ with the published target, one teacher step; its optimum never leaves the noise",
        "LSDPlusConfig",
        module="lsd_plus",
        fit_name="fit_literal",
    ),
    _learned(
        "path_kl_schedule",
        "the schedule of least path divergence, by dynamic programming; gains 1",
        "PathKLScheduleConfig",
        module="path_kl",
        processes=ANY,
    ),
    _learned(
        "path_kl",
        "that schedule, and a gain a step settled under the reverse bound",
        "PathKLConfig",
        processes=ANY,
    ),
    _learned(
        "path_kl_sharp",
        "path_kl with its gains squared: fewer errors than the bound asks for, at a price in diversity",
        "PathKLSharpConfig",
        module="path_kl",
        processes=ANY,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL if method.available}


def method_names(process: Process | None = None) -> list[str]:
    """The methods' names, controls first; only those for a process if one is given."""
    return [name for name, each in METHODS.items() if process is None or process.kind in each.processes]


def get_method(name: str) -> Method:
    """The method of that name."""
    if name not in METHODS:
        raise InputError("method", f"be one of {method_names()}", name)
    return METHODS[name]


def _is_finite(value: Any) -> bool:
    """Whether no number in a setting is NaN or infinite."""
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _frozen(value: Any) -> Any:
    """Lists, as JSON and YAML have them, as tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    """Tuples as lists, as JSON reads them back."""
    if isinstance(value, dict):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, list | tuple) else value
