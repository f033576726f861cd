"""Typed, lazy registries of components over the entry points of all installed distributions.

A component is a sampler, an order, a method, a backbone family, a task or a metric. A distribution adds one with one
line of its pyproject.toml, `name = "package.module:OBJECT"` under `[project.entry-points."lsd.samplers"]` or another
group of `GROUPS`. OBJECT is the component, or a class that makes it without arguments. Names are listed without an
import; a component is imported when it is first asked for. Nothing is ever imported because an artifact names it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from typing import Any, Generic, TypeVar

from lsd_core.components import DISTRIBUTION, OURS
from lsd_core.errors import InputError
from lsd_core.numerics.names import COMPONENT, PACKAGE

T = TypeVar("T")
Recorded = Mapping[str, tuple[str, int]]  # "GROUP:NAME" -> (distribution, version of the component)
GROUPS = {
    "lsd.samplers": "sampler",
    "lsd.orders": "order",
    "lsd.methods": "method",
    "lsd.backbones": "backbone family",
    "lsd.tasks": "task",
    "lsd.metrics": "metric",
}


@dataclass(frozen=True)
class Source:
    """Where a component is defined."""

    target: str
    """`package.module:OBJECT`."""
    distribution: str
    """What to install for it."""


class Registry(Generic[T]):
    """The components of one group: ours in our order, then those of other distributions by name.

    `make(name, object)` turns what an entry point names into the component, or raises InputError.
    """

    def __init__(self, group: str, make: Callable[[str, Any], T]) -> None:
        self.group, self.make, self.noun = group, make, GROUPS[group]
        self._made: dict[str, T] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(_sources(self.group))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in _sources(self.group)

    def __getitem__(self, name: str) -> T:
        """The component of that name, imported now; an unknown name lists the known ones."""
        if name not in self:
            raise InputError(self.noun, f"be one of {list(self)}", name)
        if name not in self._made:
            self._made[name] = self.make(name, load(self.group, name))
        return self._made[name]

    def items(self) -> Iterator[tuple[str, T]]:
        """All of them, imported."""
        return ((name, self[name]) for name in self)

    def values(self) -> Iterator[T]:
        """All of them, imported, without their names."""
        return (self[name] for name in self)

    def recorded(self, *names: str) -> dict[str, tuple[str, int]]:
        """(distribution, version) of these components, for keys and cards; ours at version 1 are left out."""
        found = {
            f"{self.group}:{name}": (source_of(self.group, name).distribution, version(self[name]))
            for name in names
        }
        return {key: value for key, value in found.items() if value != (DISTRIBUTION, 1)}


def instance_of(kind: type[T]) -> Callable[[str, Any], T]:
    """For a registry whose components are instances of `kind`, or classes that make one without arguments."""

    def make(name: str, loaded: Any) -> T:
        component = loaded() if isinstance(loaded, type) else loaded
        if not isinstance(component, kind):
            raise InputError(f"component {name}", f"be a {kind.__name__}", repr(loaded))
        return component

    return make


def version(component: Any) -> int:
    """A component's own version: its author raises it when its results change."""
    found: int = getattr(component, "version", 1)
    return found


def source_of(group: str, name: str) -> Source:
    """Where a known component is defined; raises InputError if two distributions claim its name."""
    first, *others = _sources(group)[name]
    COMPONENT.check(f"name of a {GROUPS[group]} of {first.distribution}", name)
    if others:
        claimed = ", ".join(each.distribution for each in (first, *others))
        remedy = f"uninstall one: pip uninstall {others[-1].distribution}"
        raise InputError(f"{GROUPS[group]} {name}", "come from one distribution", claimed, remedy)
    return first


def load(group: str, name: str) -> Any:
    """The object that a known name stands for; what stops its import is one line that names the distribution."""
    source = source_of(group, name)
    module, _, attribute = source.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        reason = f"{source.target} ({type(error).__name__}: {' '.join(str(error).split())})"
        remedy = f"repair or uninstall it: pip uninstall {source.distribution}"
        field = f"{GROUPS[group]} {name} of {source.distribution}"
        raise InputError(field, "be importable", reason, remedy) from error


def require(components: Recorded) -> None:
    """Raise InputError, with what to install, unless these recorded components are installed at their versions."""
    for key, (distribution, wanted) in components.items():
        group, _, name = key.partition(":")
        COMPONENT.check("name of a recorded component", name)
        noun = f"{GROUPS.get(group, group)} {name}"
        if distribution not in {source.distribution for source in _sources(group).get(name, ())}:
            PACKAGE.check(f"distribution of {name}", distribution)  # it stands in a line to be typed
            raise InputError(noun, "be installed", f"no {distribution}", f"pip install {distribution}")
        found = version(load(group, name))
        if found != wanted:
            rule = f"be version {wanted}, with which this was made"
            raise InputError(noun, rule, found, f"install the {distribution} that has it")


@cache
def _all_sources() -> dict[str, dict[str, list[Source]]]:
    """Who defines each name of each group: we first, then other distributions, found by one scan of their metadata."""
    found = {
        group: {name: [Source(target, DISTRIBUTION)] for name, target in OURS[group].items()}
        for group in GROUPS
    }
    installed = metadata.entry_points()
    for group, names in found.items():
        for entry in sorted(installed.select(group=group), key=lambda entry: entry.name):
            distribution = "an unnamed distribution" if entry.dist is None else entry.dist.name
            if distribution != DISTRIBUTION:
                names.setdefault(entry.name, []).append(Source(entry.value, distribution))
    return found


def _sources(group: str) -> dict[str, list[Source]]:
    return _all_sources().get(group, {})


def rescan() -> None:
    """Read the metadata again when next asked: something was installed or removed while this process runs."""
    _all_sources.cache_clear()
