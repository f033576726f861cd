"""Input and output of every learning method: a problem (one cell) and what was learned for it."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsd_core.backbones.protocol import AnyBackbone, Backbone, absorbing
from lsd_core.paths.model import Progress as Progress
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.conditions import Conditions
from lsd_core.trajectories.types import Trajectories

Watch = Callable[
    [int, Mapping[str, Any]], None
]  # (epoch or iteration, what it came to: numbers, lists of numbers)
# (name among all problems on these paths, how to compute it)
Keep = Callable[[Hashable, Callable[[], Any]], Any]


@dataclass(frozen=True, kw_only=True)
class CostKey:
    """What shared costs are a function of, beside the backbone, what is given, and the version of the program."""

    kind: str
    """`edge costs`, `thresholds`, `bound`, `gains`, `jys`."""
    of: tuple[Any, ...]
    """Settings, names and seeds: strings, numbers, None, and tuples of them."""
    stored: bool
    """Whether they are measured on the stored trajectories, and so depend on these too."""
    of_one_seed: bool = False
    """Whether they belong to one learning seed and one number of steps, and only methods share them."""


# (what the costs depend on, how to measure them: JSON with `sequences`, what it took) -> the same JSON
SharedCosts = Callable[[CostKey, Callable[[], Mapping[str, Any]]], Mapping[str, Any]]


class Kept:
    """A cache of computations shared by learning runs on the same backbone and trajectories."""

    def __init__(self) -> None:
        self._made = dict[Hashable, Any]()

    def __call__(self, name: Hashable, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


class Latest:
    """The latest of what is too large to be kept for long: equal requests that follow one another share it."""

    def __init__(self) -> None:
        self._name: Hashable = None
        self._made: Any = None

    def __call__(self, name: Hashable, make: Callable[[], Any]) -> Any:
        if self._made is None or name != self._name:
            self._made = None  # freed before the next is made
            self._name, self._made = name, make()
        return self._made


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One cell to be learned: the best table for `nfe` calls of `sampler` on `backbone`."""

    backbone: AnyBackbone
    """The frozen network."""
    sampler: str
    """Name of the base sampler."""
    num_steps: int
    """Steps M that the budget of network calls pays for."""
    trajectories: Trajectories | None
    """Stored teacher paths; a method says how it splits them. None for controls, which learn nothing."""
    teacher_seed: int | None = None
    """Seed that drew the trajectories, so that a student can share the teacher's noise."""
    conditions: Conditions | None = None
    """What is given to the sequences; the trajectories' own are in them."""
    seed: int
    """Everything random follows from it."""
    batch: int
    """Sequences a network call."""
    progress: Progress = lambda stage, share: None
    """Called with the share of the work that is done."""
    watch: Watch = lambda step, values: None
    """Called with each entry of the history as it is made."""
    keep: Keep = lambda name, make: make()
    """Memoises computations shared by problems on the same backbone and trajectories; by default none."""
    shared_costs: SharedCosts | None = None
    """Finds costs where they were measured before, by this process or another; by default `keep` does."""

    @property
    def root(self) -> int:
        """Seed of everything that is measured once for all learning seeds: the teacher's."""
        return self.seed if self.teacher_seed is None else self.teacher_seed

    def measured_once(self, key: CostKey, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Costs that all problems of this backbone share which ask for the same key."""
        if self.shared_costs is None:
            found: Mapping[str, Any] = self.keep((key.kind, key), measure)
            return found
        return self.shared_costs(key, measure)

    def note(self, history: dict[str, list[Any]], **values: Any) -> None:
        """Add an entry to each series of a history, and pass it to `watch`."""
        for name, value in values.items():
            history.setdefault(name, []).append(value)
        self.watch(max(len(history[name]) for name in values) - 1, values)

    @property
    def absorbing(self) -> Backbone:
        """The network, for methods that need a mask."""
        return absorbing(self.backbone, "the method")


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The table that a method learned, and how."""

    table: StepTable
    """What to sample with."""
    sequences: int
    """Cost: sequences sent through the network, those that other problems shared included."""
    history: dict[str, list[Any]] = field(default_factory=dict)
    """Per epoch or iteration: losses, gains, times."""
    diagnostics: dict[str, Any] = field(default_factory=dict)
    """The method's own report, as JSON."""
