"""The specification of a teacher's data set. Its hash names the folder; its size is not part of it."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from typing import Any

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.names import BACKBONE, COMPONENT, FINGERPRINT, Grammar
from lsd_core.trajectories.conditions import check_record

SCHEMA_VERSION = 1
_TIME_GRID = Grammar("2^16, uniform, or states-64 or the like", r"2\^16|[a-z]+|states-[1-9][0-9]*")
_DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class TeacherSpec:
    """Everything the trajectories depend on, so equal specs mean equal data.

    Shard i holds exactly the trajectories [i * shard_rows, (i + 1) * shard_rows); a data set grows by
    adding shards. Randomness is a function of (seed, trajectory), so shards need no seeds of their own.
    """

    backbone: str
    """Name of the backbone, as in the catalog and in folder names."""
    backbone_fingerprint: str
    """Hash of its tensors and configuration."""
    process: Mapping[str, Any]
    """The forward process, as data."""
    method: str
    """Base method: `first_hitting`, `euler`, ..."""
    law_version: int
    """Version of the method's output distribution; it moves when the output would."""
    steps: int | None
    """Number of steps; None for an exact teacher."""
    time_grid: str
    """`2^16` for exact reveal times, `states-64` where 64 states a path are kept, else `uniform` steps."""
    dtype: str
    """Precision of the network's body."""
    batch: int
    """Trajectories per network call; resolved when the work is planned, then frozen."""
    shard_rows: int
    """Trajectories per shard."""
    length: int
    """Positions per sequence, l."""
    num_tokens: int
    """Tokens without the mask."""
    seed: int
    """Seed of every uniform."""
    schema_version: int = SCHEMA_VERSION
    """Version of the shard's layout."""
    conditions: Mapping[str, Any] | None = None
    """What is given to the trajectories, `Conditions.record`; None where nothing is."""

    def __post_init__(self) -> None:
        for name in ("batch", "shard_rows", "length", "num_tokens", "law_version"):
            _check_integer(f"teacher.{name}", getattr(self, name), at_least=1)
        _check_integer("teacher.seed", self.seed, at_least=0)
        if self.steps is not None:
            _check_integer("teacher.steps", self.steps, at_least=1)
        BACKBONE.check("teacher.backbone", self.backbone)
        FINGERPRINT.check("teacher.backbone_fingerprint", self.backbone_fingerprint)
        COMPONENT.check("teacher.method", self.method)
        _TIME_GRID.check("teacher.time_grid", self.time_grid)
        if self.steps is None and self.num_nodes is None and self.time_grid != "2^16":
            rule = "be 2^16, or states-64 or the like, for an exact teacher"
            raise InputError("teacher.time_grid", rule, self.time_grid)
        if self.dtype not in _DTYPES:
            raise InputError("teacher.dtype", "be one of " + ", ".join(_DTYPES), self.dtype)
        if self.schema_version != SCHEMA_VERSION:
            remedy = "use the version of this program that wrote the shards, or make a new teacher"
            raise InputError("teacher.schema_version", f"be {SCHEMA_VERSION}", self.schema_version, remedy)
        object.__setattr__(self, "process", dict(self.process))
        if self.conditions is not None:
            check_record(self.conditions)
            object.__setattr__(self, "conditions", dict(self.conditions))

    def __hash__(self) -> int:
        return int(self.hash, 16)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for canonical JSON; without `conditions` where nothing is given, so that earlier hashes hold."""
        record = asdict(self)
        if self.conditions is None:
            del record["conditions"]
        return record

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "TeacherSpec":
        """The inverse of `to_dict`; unknown and missing fields raise InputError."""
        required = {f.name for f in fields(cls) if f.default is MISSING}
        unknown, missing = set(data) - {f.name for f in fields(cls)}, required - set(data)
        if unknown or missing:
            wrong = {"unknown": sorted(unknown), "missing": sorted(missing)}
            raise InputError("teacher", "have exactly the fields of a TeacherSpec", wrong)
        return cls(**data)

    @cached_property
    def hash(self) -> str:
        """The first 16 hexadecimal digits of the digest of the canonical JSON."""
        return digest(self.to_dict())[:16]

    @property
    def most_free(self) -> int:
        """Free positions of a trajectory, at most."""
        if self.conditions is None or self.conditions["unconditional"] > 0:
            return self.length
        return int(self.conditions["free"][1])

    @property
    def num_nodes(self) -> int | None:
        """Times at which a path's states are kept; None where its jumps are."""
        kind, _, number = self.time_grid.partition("-")
        return int(number) if kind == "states" and number else None

    @property
    def folder(self) -> str:
        """Where the shards lie on the store."""
        return f"teachers/{self.backbone}/{self.hash}"

    def num_shards(self, num_trajectories: int) -> int:
        """Shards that hold the first `num_trajectories`; the last may hold more than was asked."""
        return -(-num_trajectories // self.shard_rows)

    def rows(self, shard: int) -> range:
        """The trajectories of a shard."""
        return range(shard * self.shard_rows, (shard + 1) * self.shard_rows)


def _check_integer(field: str, value: Any, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InputError(field, f"be an integer >= {at_least}", value)
