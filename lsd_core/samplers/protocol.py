"""The protocol of base samplers, and their abilities as data that other code reads."""

from collections.abc import Iterable
from typing import ClassVar, Literal, Protocol, runtime_checkable

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.samplers.orders import UNIFORM, Order
from lsd_core.samplers.state import Draws, State
from lsd_core.samplers.step import Step
from lsd_core.samplers.table import Grid

Kind = Literal["absorbing", "uniform", "gaussian"]
MASKED: frozenset[Kind] = frozenset({"absorbing"})
FULL: frozenset[Kind] = frozenset({"uniform", "gaussian"})
ALL = MASKED | FULL


@runtime_checkable
class Sampler(Protocol):
    """A method with no learned numbers of its own; those arrive in the `Step`.

    `step` makes its own network calls, since methods differ in how many they need and on time-free networks
    a call whose input has not changed is skipped.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int:
        """Moves when its tokens would."""
        ...

    @property
    def processes(self) -> frozenset[Kind]:
        """Kinds of processes that it samples."""
        ...

    @property
    def grids(self) -> frozenset[Grid]:
        """What its tables hold on a masked process; others have times."""
        ...

    @property
    def order(self) -> Order:
        """In which order a grid of counts unmasks the positions."""
        ...

    @property
    def calls_per_step(self) -> int: ...
    @property
    def factorised(self) -> bool:
        """Whether a step draws all its tokens from one network call, at positions that do not depend on tokens."""
        ...

    @property
    def teacher(self) -> frozenset[Kind]:
        """Kinds of processes on which its paths may be stored as a teacher's."""
        ...

    @property
    def adaptive(self) -> bool:
        """Whether the positions that it unmasks depend on the tokens."""
        ...

    def step(self, backbone: AnyBackbone, state: State, step: Step, draws: Draws) -> State: ...


class Abilities:
    """Defaults of the abilities: a sampler inherits them and states what differs."""

    version: ClassVar[int] = 1
    processes: ClassVar[frozenset[Kind]] = MASKED
    grids: ClassVar[frozenset[Grid]] = frozenset({"times", "counts"})
    order: ClassVar[Order] = UNIFORM
    calls_per_step: ClassVar[int] = 1
    factorised: ClassVar[bool] = False
    teacher: ClassVar[frozenset[Kind]] = frozenset()
    adaptive: ClassVar[bool] = False


def learnable(sampler: Sampler) -> bool:
    """Whether its steps can be costed over mask counts and its gains fitted."""
    return sampler.factorised and "counts" in sampler.grids


def in_counts_only(sampler: Sampler) -> bool:
    """Whether it needs a grid of mask counts, and has no steps in time."""
    return sampler.grids == {"counts"}


def names_of(samplers: Iterable[Sampler]) -> str:
    return ", ".join(sampler.name for sampler in samplers)


def check_grid(sampler: Sampler, grid: Grid) -> None:
    """Raise InputError where the sampler has no steps on that grid."""
    if grid in sampler.grids:
        return
    if grid == "counts":
        remedy = "use fixed_counts, which unmasks counts"
        raise InputError(f"table of {sampler.name}", "hold times", "counts", remedy)
    raise InputError("table", f"be a grid of counts for {sampler.name}", "times", "euler steps in times")
