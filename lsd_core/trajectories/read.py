"""Published trajectories, streamed shard by shard: verified before use, read ahead, in bounded memory."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from lsd_core.errors import InputError
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.store import Store
from lsd_core.trajectories.bits import unpack
from lsd_core.trajectories.conditions import conditioned, read_conditions
from lsd_core.trajectories.manifest import REMEDY, CorruptFileError, load_manifest
from lsd_core.trajectories.prefetch import ahead
from lsd_core.trajectories.schema import SHARD_KEY, SPEC_KEY, Column, implied_rank, layout, unchained
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import STATES, Trajectories, gather
from lsd_core.trajectories.write import ShardRecord


def read_trajectories(
    store: Store, spec: TeacherSpec, limit: int | None = None, columns: Sequence[str] | None = None
) -> Trajectories:
    """The first `limit` published trajectories (all by default) in one piece; `columns` names those wanted.

    Each shard is copied to its place as it comes, so that the memory is the result's and a few shards'. Raises
    InputError where too little is published.
    """
    records = published_shards(store, spec, limit)
    rows = len(records) * spec.shard_rows if limit is None else limit
    found = gather(stream_shards(store, spec, records, columns), rows)
    conditions = read_conditions(store, spec.conditions)
    return found if conditions is None else conditioned(found, conditions, spec.seed)


def published_shards(store: Store, spec: TeacherSpec, limit: int | None = None) -> list[ShardRecord]:
    """The shards that hold the first `limit` trajectories; InputError where one is not published."""
    manifest = load_manifest(store, spec)
    wanted = len(manifest.shards) if limit is None else spec.num_shards(limit)
    if limit is not None and limit < 1:
        raise InputError("limit", "be >= 1", limit)
    lacking = [index for index in range(max(wanted, 1)) if index not in manifest.by_index]
    if lacking:
        asked = f"hold shards 0 to {max(wanted, 1) - 1} for {limit or 'all'} trajectories"
        raise InputError(f"teacher {store.locate(spec.folder)}", asked, f"no shard {lacking[0]}", REMEDY)
    return [manifest.by_index[index] for index in range(wanted)]


def stream_shards(
    store: Store,
    spec: TeacherSpec,
    records: Sequence[ShardRecord],
    columns: Sequence[str] | None = None,
    prefetch: int = 2,
) -> Iterator[Trajectories]:
    """Shards in their order, read ahead: at most `prefetch` + 2 are in memory at once.

    Raises CorruptFileError, naming the file, before any of a bad file is used.
    """
    return ahead(lambda record: read_shard(store, spec, record, columns), records, prefetch)


def read_shard(
    store: Store, spec: TeacherSpec, record: ShardRecord, columns: Sequence[str] | None = None
) -> Trajectories:
    """One shard, verified against its record; raises CorruptFileError if it is not what was published."""
    data = verified_bytes(store, record)
    try:
        return decode_shard(data, spec, columns, shard=record.index)
    except InputError:
        raise
    except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise CorruptFileError(store.locate(record.key), "be a shard", type(error).__name__, REMEDY) from None


def verified_bytes(store: Store, record: ShardRecord) -> bytes:
    """The content of a shard's file; raises CorruptFileError unless size and sha256 are as recorded."""
    try:
        data = store.read_bytes(record.key)
    except FileNotFoundError:
        raise CorruptFileError(
            store.locate(record.key), "exist, as its manifest says", "no file", REMEDY
        ) from None
    sha256 = hashlib.sha256(data).hexdigest()
    if (len(data), sha256) != (record.bytes, record.sha256):
        rule = f"hold the {record.bytes} bytes with sha256 {record.sha256} of its manifest"
        raise CorruptFileError(
            store.locate(record.key), rule, f"{len(data)} bytes with sha256 {sha256}", REMEDY
        )
    return data


def decode_shard(
    data: bytes, spec: TeacherSpec, columns: Sequence[str] | None = None, shard: int | None = None
) -> Trajectories:
    """The trajectories in Parquet bytes; raises InputError if they name another teacher or shard."""
    offered = {column.name: column for column in layout(spec)}
    names = list(offered) if columns is None else [name for name in offered if name in columns]
    if columns is not None and not (columns and set(columns) <= set(offered)):
        raise InputError("columns", "be among " + ", ".join(offered), list(columns))
    needed = {"rank": "reveal_time", STATES: "x_end"}  # what a column was encoded against
    table = arrow_columns(data, [*names, *(needed[name] for name in names if name in needed)])
    found_spec, found_shard = describe(table.schema)
    if found_spec != spec or shard not in (None, found_shard):
        found = f"shard {found_shard} of {found_spec.hash}"
        raise InputError("shard", f"be number {shard} of teacher {spec.hash}", found)
    values = {n: _unpacked(table[n], offered[n], spec) for n in table.column_names}
    if "rank" in values:
        values["rank"] = values["rank"] ^ implied_rank(values["reveal_time"])
    if STATES in values:
        values[STATES] = unchained(values[STATES], values["x_end"])
    rows = spec.rows(found_shard)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values[name])) for name in names}
    index = torch.arange(rows.start, rows.stop)
    steps = spec.steps if spec.num_nodes is None else None
    return Trajectories(index=index, num_tokens=spec.num_tokens, steps=steps, **tensors)


def _unpacked(packed: pa.ChunkedArray, column: Column, spec: TeacherSpec) -> NDArray[np.int32]:
    return unpack(packed_rows(packed), column.bits, spec.length * column.times)


def arrow_columns(data: bytes, columns: Sequence[str]) -> pa.Table:
    """Parquet bytes to Arrow columns, still packed."""
    return pq.read_table(pa.BufferReader(data), columns=sorted(set(columns)), use_threads=False)


def describe(schema: pa.Schema) -> tuple[TeacherSpec, int]:
    """What a shard's file says of itself: its teacher and its number."""
    metadata = schema.metadata or {}
    return TeacherSpec.from_dict(parse_json(metadata[SPEC_KEY], "shard")), int(metadata[SHARD_KEY])


def packed_rows(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """A fixed-size binary column as bytes (n, width)."""
    width = column.type.byte_width
    chunks = []
    for chunk in column.chunks:
        values = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)
        chunks.append(values[chunk.offset * width : (chunk.offset + len(chunk)) * width].reshape(-1, width))
    return np.concatenate(chunks)
