"""Conditions: the templates that sequences are drawn for, at rest on the store and drawn by (seed, trajectory).

A template is a state of the masked process: given tokens, and the mask where a token is to be drawn. A set of them is
named by the digest of its content and is split in two: what is learned on, and what is held out for measuring.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.names import SPEC_HASH
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.storage.damage import damage_in
from lsd_core.storage.sealed import read_sealed, write_sealed
from lsd_core.storage.store import Store
from lsd_core.trajectories.types import TIME_GRID, Trajectories

FOLDER = "conditions"
Part = Literal["learn", "held_out"]
FIELDS = ("digest", "part", "held_out", "templates", "free", "unconditional")


@dataclass(frozen=True, eq=False, kw_only=True)
class TemplateSet:
    """Different templates over tokens 0 .. num_tokens - 1; the mask is num_tokens."""

    templates: Int[Tensor, "n l"]
    num_tokens: int

    def __post_init__(self) -> None:
        if len(self.templates) < 1:
            raise InputError("conditions", "have at least one template", "none")
        if bool((self.templates != self.num_tokens).all(1).any()):
            raise InputError("conditions", "leave a position free in every template", "one that gives all")

    @cached_property
    def record(self) -> dict[str, Any]:
        """As JSON: null stands for a free position."""
        rows = [[None if t == self.num_tokens else t for t in row] for row in self.templates.tolist()]
        return {"num_tokens": self.num_tokens, "templates": rows}

    @cached_property
    def digest(self) -> str:
        """Names the set on the store."""
        return digest(self.record)[:16]

    @property
    def key(self) -> str:
        """Where it lies on the store."""
        return f"{FOLDER}/{self.digest}.json"

    def publish(self, store: Store) -> None:
        """Put it on the store, where workers and later runs read it."""
        if damage_in(lambda: read_sealed(store, self.key)) is not None:
            write_sealed(store, self.key, self.record)

    def conditions(self, part: Part, *, held_out: float, unconditional: float) -> "Conditions":
        """One part of the set; `held_out` 0 learns and measures on all of it.

        The templates of the smallest digests are held out, so that the order of the lines does not matter. Each part
        has one at least.
        """
        if not 0 <= held_out < 1:
            raise InputError("conditions.held_out", "lie in [0, 1)", held_out)
        templates, n = self.templates, len(self.templates)
        if held_out:
            if n < 2:
                remedy = "name more templates, or set held_out: 0 to measure on what was learned"
                raise InputError("conditions.held_out", "be 0 for a single template", held_out, remedy)
            size = min(n - 1, max(1, round(held_out * n)))
            order = sorted(range(n), key=lambda i: digest(self.record["templates"][i]))
            chosen = order[:size] if part == "held_out" else order[size:]
            templates = templates[sorted(chosen)]
        return Conditions(
            templates=templates,
            num_tokens=self.num_tokens,
            unconditional=unconditional,
            source=self.digest,
            part=part,
            held_out=held_out,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Conditions:
    """The templates of one part of a set; trajectory i begins at one that (seed, i) draws, all alike."""

    templates: Int[Tensor, "n l"]
    num_tokens: int
    unconditional: float = 0.0
    """Share of the trajectories with nothing given."""
    source: str = ""
    """Digest of the whole set."""
    part: Part = "learn"
    held_out: float = 0.0
    """Share of the set that is held out."""

    def __post_init__(self) -> None:
        if not 0 <= self.unconditional < 1:
            raise InputError("conditions.unconditional", "lie in [0, 1)", self.unconditional)

    @property
    def mask(self) -> int:
        """What stands at a free position."""
        return self.num_tokens

    @cached_property
    def num_free(self) -> Int[Tensor, " n"]:
        """Free positions of each template."""
        return (self.templates == self.mask).sum(1)

    @property
    def mean_free(self) -> float:
        """Mean number of free positions of a trajectory."""
        given = float(self.num_free.double().mean())
        return (1 - self.unconditional) * given + self.unconditional * self.templates.shape[1]

    def at(self, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """The template of each trajectory: a function of (seed, trajectory), whatever its batch and worker."""
        zero = torch.zeros_like(trajectory)
        uniform = uniforms(seed, trajectory, 0, zero, Purpose.CONDITION)
        place = (uniform - self.unconditional) / (1 - self.unconditional) * len(self.templates)
        chosen = place.floor().long().clamp(0, len(self.templates) - 1)
        drawn = self.templates.to(trajectory.device)[chosen]
        return drawn.masked_fill((uniform < self.unconditional)[:, None], self.mask)

    @property
    def record(self) -> dict[str, Any]:
        """What a specification and a card say: the set, its part, how many templates, the range of free positions."""
        free = self.num_free
        low, high = int(free.min()), int(free.max())
        values = (self.source, self.part, self.held_out, len(self.templates), [low, high], self.unconditional)
        return dict(zip(FIELDS, values, strict=True))


def read_template_set(store: Store, name: str) -> TemplateSet:
    """The set of that digest on the store; InputError names a file that is missing or damaged."""
    key = f"{FOLDER}/{name}.json"
    return store.memory.find(key, lambda: _read(store, key, name), lambda found: found.templates.nbytes)


def _read(store: Store, key: str, name: str) -> TemplateSet:
    record = read_sealed(store, key)
    try:
        num_tokens = int(record["num_tokens"])
        rows = [[num_tokens if t is None else int(t) for t in row] for row in record["templates"]]
        found = TemplateSet(templates=torch.tensor(rows), num_tokens=num_tokens)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(store.locate(key), "hold templates", str(error) or repr(error)) from None
    if found.digest != name:
        raise InputError(store.locate(key), "have the content of its name", found.digest)
    return found


def read_conditions(store: Store, record: Mapping[str, Any] | None) -> Conditions | None:
    """The conditions that a specification names; None where it names none."""
    if record is None:
        return None
    whole = read_template_set(store, record["digest"])
    found = whole.conditions(
        record["part"], held_out=record["held_out"], unconditional=record["unconditional"]
    )
    if json.loads(json.dumps(found.record)) != dict(record):
        raise InputError("conditions", f"be those of the set {record['digest']}", dict(record))
    return found


def damaged_conditions(store: Store) -> dict[str, str]:
    """Published sets that are not what their names say, and why: one line each, by key."""
    found = dict[str, str]()
    for key in store.list(FOLDER):
        if reason := damage_in(partial(_read, store, key, key.rpartition("/")[2].removesuffix(".json"))):
            found[key] = reason
    return found


def check_record(record: Any) -> None:
    """Raise InputError unless this is what `Conditions.record` gives."""
    if not isinstance(record, Mapping) or set(record) != set(FIELDS):
        raise InputError("conditions", f"have exactly the fields {', '.join(FIELDS)}", record)
    SPEC_HASH.check("conditions.digest", record["digest"])
    if record["part"] not in get_args(Part):
        raise InputError("conditions.part", f"be one of {', '.join(get_args(Part))}", record["part"])
    for name in ("held_out", "unconditional"):
        if type(record[name]) not in (int, float) or not 0 <= record[name] < 1:
            raise InputError(f"conditions.{name}", "be a number in [0, 1)", record[name])
    if type(record["templates"]) is not int or record["templates"] < 1:
        raise InputError("conditions.templates", "be an integer >= 1", record["templates"])
    free = record["free"]
    if not isinstance(free, list | tuple) or [type(each) for each in free] != [int, int]:
        raise InputError("conditions.free", "be the least and the most free positions", free)
    if not 1 <= free[0] <= free[1]:
        raise InputError("conditions.free", "be two numbers >= 1, the least first", free)


def conditioned(trajectories: Trajectories, conditions: Conditions, seed: int) -> Trajectories:
    """Trajectories that `seed` drew under these conditions, with what was given to each of them.

    InputError where a given token is not what the template says.
    """
    templates = conditions.at(seed, trajectories.index)
    given = templates != conditions.mask
    if trajectories.x_end is not None and bool((trajectories.x_end != templates)[given].any()):
        raise InputError("trajectories", "have the given tokens of their templates", "other tokens")
    return given_first(trajectories, given)


def by_free(templates: Int[Tensor, "b l"], mask: int) -> Iterator[tuple[Int[Tensor, " r"], int]]:
    """Rows with the same number of free positions, and that number, smallest first."""
    free = (templates == mask).sum(1)
    for number in free.unique().tolist():
        yield (free == number).nonzero()[:, 0], int(number)


def given_first(trajectories: Trajectories, given: Bool[Tensor, "n l"]) -> Trajectories:
    """Trajectories whose `given` (n, l) positions are known from the start: before any step, time and other rank."""
    changed = dict[str, Any]()
    for name, known in (("reveal_step", -1), ("reveal_time", TIME_GRID)):
        column = getattr(trajectories, name)
        if column is not None:
            changed[name] = column.masked_fill(given, known)
    return replace(trajectories, given=given, **changed)
