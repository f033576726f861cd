"""What every learning method takes and gives back."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsd_core.backbones.protocol import AnyBackbone, Backbone, absorbing
from lsd_core.errors import InputError
from lsd_core.samplers.table import StepTable
from lsd_core.trajectories.types import Trajectories

Progress = Callable[[str, float], None]  # (what is being done, share done in [0, 1])
Watch = Callable[
    [int, Mapping[str, Any]], None
]  # (epoch or iteration, what it came to: numbers, lists of numbers)
# (what names it among all problems on these paths, how to get it)
Keep = Callable[[Hashable, Callable[[], Any]], Any]


class Kept:
    """What several learning runs on the same backbone and trajectories use: made when first asked for."""

    def __init__(self) -> None:
        self._made = dict[Hashable, Any]()

    def __call__(self, name: Hashable, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


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
    seed: int
    """Everything random follows from it."""
    batch: int
    """Sequences a network call."""
    progress: Progress = lambda stage, share: None
    """Told how far the work is."""
    watch: Watch = lambda step, values: None
    """Told each entry of the history as it is made."""
    keep: Keep = lambda name, make: make()
    """Gives what is made once for all problems on the same backbone and trajectories; by itself, makes it."""

    def note(self, history: dict[str, list[Any]], **values: Any) -> None:
        """Add an entry to each series of a history, and tell whoever watches."""
        for name, value in values.items():
            history.setdefault(name, []).append(value)
        self.watch(max(len(history[name]) for name in values) - 1, values)

    @property
    def absorbing(self) -> Backbone:
        """The network, for methods that need a mask."""
        return absorbing(self.backbone, "the method")

    @property
    def kept_states(self) -> Trajectories:
        """The trajectories of a process without a mask, which hold states."""
        stored = self.trajectories
        if stored is None or stored.states is None:
            held = "none" if stored is None else ", ".join(stored.columns())
            raise InputError("trajectories", "be given with states", held, "name a teacher in the grid")
        return stored


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The table a method arrived at, and how."""

    table: StepTable
    """What to sample with."""
    sequences: int
    """Cost: sequences sent through the network, those that other problems shared included."""
    history: dict[str, list[Any]] = field(default_factory=dict)
    """Per epoch or iteration: losses, gains, times."""
    diagnostics: dict[str, Any] = field(default_factory=dict)
    """What the method can say about itself, as JSON."""
