"""Trajectories to Parquet bytes, and Parquet bytes to a shard whose name carries its content's hash."""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories.bits import pack
from lsd_core.trajectories.schema import (
    arrow_schema,
    chained,
    check_fits,
    check_values,
    implied_rank,
    layout,
    self_description,
)
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import STATES, Trajectories

_ROW_GROUP_BYTES = 4 << 20  # decoded a group at a time: enough to be fast, little enough to stream
_NAME = re.compile(r"shard-([0-9]{5,18})-([0-9a-f]{8})\.parquet")


@dataclass(frozen=True, order=True)
class ShardRecord:
    """A shard as its manifest lists it."""

    index: int
    """Number of the shard."""
    sha256: str
    """Of the file's content."""
    key: str
    """Where it lies on the store."""
    rows: int
    """Trajectories in it."""
    bytes: int
    """Size of the file."""


def encode_shard(trajectories: Trajectories, spec: TeacherSpec) -> bytes:
    """One shard as Parquet; the bytes are a function of the arguments and of the pyarrow version.

    Raises InputError unless the trajectories are exactly those of one shard and mean what the spec says.
    """
    table = to_arrow(trajectories, spec)
    return to_parquet(table, self_description(spec, int(trajectories.index[0]) // spec.shard_rows))


def to_arrow(trajectories: Trajectories, spec: TeacherSpec) -> pa.Table:
    """One shard as packed Arrow columns."""
    check_fits(trajectories, spec)
    values = {name: column.cpu().numpy() for name, column in trajectories.columns().items()}
    check_values(values, spec)
    if "rank" in values:
        values["rank"] = values["rank"] ^ implied_rank(values["reveal_time"])
    if STATES in values:
        values[STATES] = chained(values[STATES], values["x_end"])
    arrays = [_binary(pack(values[column.name], column.bits)) for column in layout(spec)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(spec))


def to_parquet(table: pa.Table, metadata: Mapping[bytes, bytes]) -> bytes:
    """Packed Arrow columns as a Parquet file that carries the metadata."""
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=False,  # rows never repeat
        write_statistics=False,  # packed rows have no useful order
        store_schema=False,  # Parquet's own types say it all
    ) as writer:
        writer.write_table(table, row_group_size=max(1, _ROW_GROUP_BYTES // (table.nbytes // len(table))))
        writer.add_key_value_metadata(metadata)
    return sink.getvalue()


def commit_shard(store: Store, spec: TeacherSpec, index: int, data: bytes) -> ShardRecord:
    """Put a shard on the store under the name its content gives it.

    A file of that name is left alone if its content bears the name out, and repaired if not.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    key = shard_key(spec, index, sha256)
    if store.exists(key):
        present = store.read_bytes(key)
        found = hashlib.sha256(present).hexdigest()
        if found[:8] == sha256[:8]:
            return ShardRecord(index, found, key, spec.shard_rows, len(present))
        store.write_bytes(key, data)
    else:
        store.write_new(key, data)
    return ShardRecord(index, sha256, key, spec.shard_rows, len(data))


def shard_key(spec: TeacherSpec, index: int, sha256: str) -> str:
    """`teachers/<backbone>/<spec-hash>/shard-00017-<sha8>.parquet`."""
    if index < 0:
        raise InputError("index", "be >= 0", index)
    return f"{spec.folder}/shard-{index:05d}-{sha256[:8]}.parquet"


def parse_shard_name(name: str) -> tuple[int, str] | None:
    """(index, first 8 digits of the sha256) of a shard's file name; None for any other file."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def _binary(rows: np.ndarray) -> pa.Array:
    """Rows of bytes (n, width) as a fixed-size binary array."""
    packed = np.ascontiguousarray(rows)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(packed)]
    )
