"""The definition of a method, and the methods by name: controls, and those that learn from trajectories.

A method is one file: a frozen dataclass of settings, `fit(problem, config) -> Learned`, and a `Method` that names both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from lsd_core.distillation.learned import Learned, Problem
from lsd_core.errors import InputError
from lsd_core.plugins import Registry, instance_of
from lsd_core.processes import Absorbing, Process
from lsd_core.samplers.catalog import SAMPLERS, get_sampler, steps_in_counts
from lsd_core.samplers.protocol import Sampler
from lsd_core.settings import read_settings, write_settings

BASELINE = "plain"
TEMPERATURE = "temperature"
ANY = ("absorbing", "uniform", "gaussian")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to choose a StepTable."""

    name: str
    version: int = 1
    """Raised when its tables change."""
    unchanged_in: Callable[[Sampler], bool] = lambda sampler: False
    """Base samplers in whose cells its tables are still those of version 1, under whose keys they stay."""
    kind: Literal["control", "learned"]
    """What is learned must beat every control to hold an alias."""
    description: str
    config_class: type
    """The frozen dataclass of its settings."""
    fit: Callable[[Problem, Any], Learned]
    """(problem, settings) -> the table for a cell."""
    own_sampler: str | None = None
    """The base sampler it brings, whatever the cell's; its steps are what the budget pays for there."""
    reads_paths: bool = False
    """Whether a control looks at teacher paths too; what is learned always does."""
    processes: tuple[str, ...] = ("absorbing",)
    """Kinds of forward processes it is for."""
    grid: Literal["sampler", "counts"] = "sampler"
    """What its tables hold on a masked process: what the base sampler's do, or counts of masked tokens."""
    conditional: Literal["", "unchanged", "learned", "rescaled"] = ""
    """Where a grid has conditions: not for such grids, the same table, learned under them, or without them."""
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

    @property
    def available(self) -> bool:
        """Whether its own sampler, if it brings one, is there."""
        return self.own_sampler in (None, *SAMPLERS)

    def counts(self, process: Process) -> bool:
        """Whether its tables count masked tokens, so that a budget is at most the length."""
        return self.grid == "counts" and isinstance(process, Absorbing)

    def check_process(self, process: Process) -> None:
        """Raise InputError where it is not for that process; the remedy names the methods that are."""
        if process.kind not in self.processes:
            known = ", ".join(method_names(process))
            rule = f"be for the process of the backbone, which is {process.kind}"
            raise InputError("method", rule, self.name, f"choose among {known}")

    def check_sampler(self, name: str, process: Process, config: Any) -> None:
        """Raise InputError where, with these settings, it cannot fill the cells of that base sampler."""
        check = getattr(config, "check_sampler", None)  # controls take all
        if check is None:
            return
        sampler = get_sampler(name, process)
        if isinstance(process, Absorbing):
            check(sampler)
        elif not sampler.factorised:
            known = [
                each.name for each in SAMPLERS.values() if each.factorised and process.kind in each.processes
            ]
            raise InputError(
                "sampler", f"be one of {known} for {self.name} on the {process.kind} process", name
            )

    def is_for(self, given: bool) -> bool:
        """Whether it is for grids with conditions (`given`), or for those without."""
        return self.conditional != "" if given else self.conditional != "rescaled"

    def check_conditions(self, sampler: str, given: bool) -> None:
        """Raise InputError where it is not for a grid with conditions, or without, or not on that base sampler."""
        if not self.is_for(given):
            names = [name for name, each in METHODS.items() if each.is_for(given)]
            rule = "be for grids with conditions" if given else "be left out of grids without conditions"
            raise InputError("method", rule, self.name, f"choose among {', '.join(names)}")
        if not given or not self.learned:
            return
        if self.grid == "sampler" and steps_in_counts(sampler):
            rule = f"step in times for {self.name} where tokens are given"
            raise InputError("sampler", rule, sampler, "use euler or tweedie")
        if sampler in SAMPLERS and (SAMPLERS[sampler].adaptive or SAMPLERS[sampler].order.learned):
            rule = "have an order of its own where tokens are given: none is learned under conditions"
            raise InputError("sampler", rule, sampler, "use fixed_counts or halton")

    def serves(self, name: str, process: Process, settings: Mapping[str, Any], given: bool = False) -> bool:
        """Whether it can fill the cells of that base sampler; one that brings its own fills all."""
        if self.own_sampler is not None:
            return True
        try:
            self.check_sampler(name, process, self.config(settings))
            self.check_conditions(name, given)
        except InputError:
            return False
        return True

    def recorded(self, sampler: str, process: Process) -> dict[str, tuple[str, int]]:
        """What keys and cards of the cells of that base sampler record of it; nothing of ours at version 1."""
        unchanged = self.version > 1 and self.unchanged_in(get_sampler(sampler, process))
        return {} if unchanged else METHODS.recorded(self.name)

    def config(self, settings: Mapping[str, Any]) -> Any:
        """Its settings, defaults filled in; raises InputError for an unknown name or a wrong value."""
        return read_settings(self.name, self.config_class, settings)

    def settings(self, config: Any, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """The settings as JSON, every one of them, numbers as they were given; `config` reads them back."""
        return write_settings(config, given)


METHODS: Registry[Method] = Registry("lsd.methods", instance_of(Method))


def method_names(process: Process | None = None) -> list[str]:
    """The methods' names, controls first; only those for a process if one is given."""
    return [
        name
        for name, each in METHODS.items()
        if each.available and (process is None or process.kind in each.processes)
    ]


def get_method(name: str) -> Method:
    """The method of that name."""
    return METHODS[name]
