"""Trajectories in memory: which token each position ended with, and when it got it or what it was before."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Integer, Num
from torch import Tensor

from lsd_core.errors import InputError

TIME_GRID = 1 << 16  # reveal times are integers k in [0, 2^16), meaning t = k / 2^16

COLUMNS = ("x_end", "reveal_time", "rank", "reveal_step")
STATES = "states"


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectories:
    """n trajectories over l positions.

    On the absorbing process they are complete, and any state can be rebuilt (`replay`): an exact teacher fills
    `reveal_time` and `rank`, an N-step teacher `reveal_step` and `steps`, and so does a sampler that walks a table
    of N steps. Where tokens jump too often to log each jump, `states` holds what they were at equally spaced
    times. Columns that were not read are None. Integers of any width are accepted and kept as int32.
    """

    index: Integer[Tensor, " n"]  # number of each trajectory in its data set, int64
    num_tokens: int  # tokens are 0 .. num_tokens - 1; the mask is num_tokens
    x_end: Integer[Tensor, "n l"] | None = None  # the clean sequence at the end
    # In units of 2^-16; time runs from 1 down to 0. Integers at rest; `replay.timed` draws times between them.
    reveal_time: Num[Tensor, "n l"] | None = None
    rank: Integer[Tensor, "n l"] | None = None  # 0 is revealed first, l - 1 last
    reveal_step: Integer[Tensor, "n l"] | None = None  # step (0 .. steps - 1) that reveals the position
    steps: int | None = None  # number of steps; None for an exact teacher, and beside `states`
    states: Integer[Tensor, "n g l"] | None = None  # at times 1 - k / g, k = 0 .. g - 1; x_end follows at 0
    given: Bool[Tensor, "n l"] | None = (
        None  # which tokens were given; not at rest, since the conditions say it
    )

    def __post_init__(self) -> None:
        shapes = {name: tuple(column.shape) for name, column in self.columns().items()}
        if self.states is not None:
            shapes[STATES] = (self.states.shape[0], self.states.shape[2])
        if not shapes:
            raise InputError("trajectories", "hold at least one of " + ", ".join(COLUMNS), "none")
        shape = next(iter(shapes.values()))
        if len(shape) != 2 or set(shapes.values()) != {shape} or tuple(self.index.shape) != shape[:1]:
            shapes["index"] = tuple(self.index.shape)
            raise InputError(
                "trajectories", "have columns of one shape (n, l) and an index of shape (n,)", shapes
            )
        if (self.reveal_step is not None) and self.steps is None:
            raise InputError("steps", "be given with reveal_step", None)
        for name, column in self.columns().items():
            if name != "reveal_time" or not column.is_floating_point():
                object.__setattr__(self, name, column.to(torch.int32))
        object.__setattr__(self, "index", self.index.to(torch.int64))

    def columns(self) -> dict[str, Tensor]:
        """The columns that are present, by name."""
        names = (*COLUMNS, STATES)
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def __len__(self) -> int:
        return self.index.shape[0]

    @property
    def length(self) -> int:
        """Positions per sequence, l."""
        return next(iter(self.columns().values())).shape[-1]

    @property
    def mask(self) -> int:
        """The token that hides a position."""
        return self.num_tokens

    def select(self, rows: slice | Tensor) -> "Trajectories":
        """The trajectories at the given rows, in that order."""
        return self._map(lambda column: column[rows])

    def to(self, device: str | torch.device) -> "Trajectories":
        """The same trajectories on another device."""
        return self._map(lambda column: column.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Trajectories":
        changed: dict[str, Any] = {name: function(column) for name, column in self.columns().items()}
        if self.given is not None:
            changed["given"] = function(self.given)
        return replace(self, index=function(self.index), **changed)


def concatenate(parts: Sequence[Trajectories]) -> Trajectories:
    """One after another; all parts hold the same columns over the same process."""
    kinds = {_kind(part) for part in parts}
    if len(kinds) != 1:
        raise InputError("parts", "be one or more trajectories of the same kind", sorted(map(str, kinds)))
    return gather(parts, sum(map(len, parts)))


def gather(parts: Iterable[Trajectories], rows: int) -> Trajectories:
    """The first `rows` >= 1 of trajectories of one kind, one after another; no part is kept once it is copied."""
    held: Trajectories | None = None
    filled = 0
    for part in parts:
        if held is None:
            held = part._map(lambda column: column.new_empty((rows, *column.shape[1:])))
        for whole, piece in zip(_tensors(held), _tensors(part), strict=True):
            whole[filled : filled + len(part)] = piece[: rows - filled]
        filled += len(part)
    if held is None or filled < rows:
        raise InputError("parts", f"be {rows} trajectories", filled)
    return held


def _kind(part: Trajectories) -> tuple[object, ...]:
    return part.num_tokens, part.length, part.steps, tuple(part.columns())


def _tensors(held: Trajectories) -> list[Tensor]:
    return [held.index, *held.columns().values(), *([] if held.given is None else [held.given])]


def equal(a: Trajectories, b: Trajectories) -> bool:
    """True if every field is the same, bit for bit."""
    return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(Trajectories))


def _same(a: object, b: object) -> bool:
    return torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b or a == b
