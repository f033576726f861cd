"""The Parquet layout of trajectories: one row each, one packed binary column per quantity.

    exact teacher    x_end, reveal_time (16 bits), rank
    N-step teacher   x_end, reveal_step
    no mask          x_end, states (g times; each kept as XOR with the state that follows it)

A column of values below K takes ceil(log2 K) bits a position, least significant bit first. Ranks follow
from the times but for ties, so a rank is kept as XOR with the order that the times imply (later times
first, then positions from left to right): nearly all zeros, which compress to nothing.

The number of a row is not stored: shard i of `shard_rows` rows starts at i * shard_rows. Each file carries
its spec, shard number and layout in its metadata, so it can be read without its manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.trajectories.bits import bits_for, packed_bytes
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import STATES, TIME_GRID, Trajectories

SPEC_KEY, SHARD_KEY, LAYOUT_KEY = b"lsd.spec", b"lsd.shard", b"lsd.layout"
_DESCRIPTION_BYTES = 8192  # metadata and Parquet's footer; more for shards of hundreds of megabytes
_ENCODING = "unsigned integers of `bits` bits, least significant bit first, `length` a row"
_ENCODINGS = {
    "rank": _ENCODING + "; XOR the order that reveal_time implies: later first, ties by position",
    STATES: _ENCODING + "; a state after another, each XOR the one that follows it, the last XOR x_end",
}


@dataclass(frozen=True)
class Column:
    """A quantity with `times` values per position, in [0, num_values)."""

    name: str
    num_values: int
    times: int = 1

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return bits_for(self.num_values)


def layout(spec: TeacherSpec) -> tuple[Column, ...]:
    """The columns of a teacher's shards."""
    x_end = Column("x_end", spec.num_tokens)
    if spec.num_nodes is not None:
        return x_end, Column(STATES, spec.num_tokens, spec.num_nodes)
    if spec.steps is not None:
        return x_end, Column("reveal_step", spec.steps)
    return x_end, Column("reveal_time", TIME_GRID), Column("rank", spec.length)


def shard_bytes_at_most(spec: TeacherSpec) -> int:
    """Size of a shard whose tokens, times and ranks are all incompressible, with its self-description."""
    row = sum(packed_bytes(spec.length * column.times, column.bits) for column in layout(spec))
    return row * spec.shard_rows + _DESCRIPTION_BYTES


def arrow_schema(spec: TeacherSpec) -> pa.Schema:
    """The Arrow schema of a teacher's shards: a fixed-size binary per column."""
    return pa.schema(
        pa.field(c.name, pa.binary(packed_bytes(spec.length * c.times, c.bits)), nullable=False)
        for c in layout(spec)
    )


def self_description(spec: TeacherSpec, shard: int) -> dict[bytes, bytes]:
    """The metadata by which a file says whose it is and how to read it."""
    described = {
        c.name: {
            "bits": c.bits,
            "length": spec.length * c.times,
            "encoding": _ENCODINGS.get(c.name, _ENCODING),
        }
        for c in layout(spec)
    }
    return {
        SPEC_KEY: canonical_json(spec.to_dict()).encode(),
        SHARD_KEY: str(shard).encode(),
        LAYOUT_KEY: canonical_json(described).encode(),
    }


def check_fits(trajectories: Trajectories, spec: TeacherSpec) -> None:
    """Raise InputError unless these are complete trajectories of this teacher, one whole shard of them."""
    first = int(trajectories.index[0]) if len(trajectories) else -1
    rows = spec.rows(first // spec.shard_rows)
    if trajectories.index.tolist() != list(rows):
        given = f"{len(trajectories)} starting at {first}"
        raise InputError("trajectories", f"be whole shards of {spec.shard_rows}, in order", given)
    names = tuple(c.name for c in layout(spec))
    steps = spec.steps if spec.num_nodes is None else None
    kind = (tuple(trajectories.columns()), trajectories.num_tokens, trajectories.length, trajectories.steps)
    if kind != (names, spec.num_tokens, spec.length, steps):
        rule = "have the columns, tokens, length and steps of their teacher: "
        raise InputError("trajectories", rule + repr((names, spec.num_tokens, spec.length, steps)), kind)
    if trajectories.states is not None and trajectories.states.shape[1] != spec.num_nodes:
        raise InputError("trajectories.states", f"have {spec.num_nodes} times", trajectories.states.shape[1])


def check_values(columns: Mapping[str, NDArray[np.integer]], spec: TeacherSpec) -> None:
    """Raise InputError for values out of range, and for ranks that contradict the times."""
    for column in layout(spec):
        low, high = columns[column.name].min(), columns[column.name].max()
        if low < 0 or high >= column.num_values:
            raise InputError(column.name, f"lie in [0, {column.num_values})", f"[{low}, {high}]")
    if "rank" in columns:
        order = inverse(columns["rank"])
        ranks = np.take_along_axis(columns["rank"], order, axis=1)
        times = np.take_along_axis(columns["reveal_time"], order, axis=1)
        if (ranks != np.arange(spec.length)).any() or (times[:, 1:] > times[:, :-1]).any():
            raise InputError(
                "rank", "number the positions of each row in the order of their times", "other ranks"
            )


def implied_rank(reveal_time: NDArray[np.integer]) -> NDArray[np.int32]:
    """Rank of each position (n, l) if ties went from left to right; times run from 1 down to 0."""
    late_first = (TIME_GRID - 1 - reveal_time).astype(np.uint16)
    return inverse(np.argsort(late_first, axis=1, kind="stable"))  # radix sort: linear on 16 bits


def chained(states: NDArray[np.integer], x_end: NDArray[np.integer]) -> NDArray[np.int32]:
    """States (n, g, l) as XOR with what follows, flattened to (n, g l): zero where a token stood still."""
    later = np.concatenate([states[:, 1:], x_end[:, None]], axis=1)
    return np.asarray(states ^ later, dtype=np.int32).reshape(len(states), -1)


def unchained(packed: NDArray[np.integer], x_end: NDArray[np.integer]) -> NDArray[np.int32]:
    """The inverse of `chained`: states (n, g, l)."""
    n, length = x_end.shape
    backward = np.concatenate([packed.reshape(n, -1, length), x_end[:, None]], axis=1)[:, ::-1]
    return np.bitwise_xor.accumulate(backward, axis=1)[:, :0:-1].astype(np.int32)


def inverse(permutation: NDArray[np.integer]) -> NDArray[np.int32]:
    """The inverse of each row of permutations (n, l)."""
    inverted = np.zeros(permutation.shape, dtype=np.int32)
    positions = np.arange(permutation.shape[1], dtype=np.int32)
    np.put_along_axis(inverted, permutation, positions[None, :], axis=1)
    return inverted
