"""A shard that its manifest bears out and that holds something else than trajectories is one line that names it."""

import hashlib
import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories import ShardRecord, TeacherSpec
from lsd_core.trajectories.read import read_shard
from lsd_core.trajectories.schema import SHARD_KEY, SPEC_KEY

ROWS = 5


def with_column(table: pa.Table, values: list[object], kind: pa.DataType) -> pa.Table:
    return table.set_column(
        table.schema.get_field_index("x_end"), "x_end", pa.array(values, kind)
    ).replace_schema_metadata(table.schema.metadata)


def with_metadata(table: pa.Table, key: bytes, value: bytes) -> pa.Table:
    return table.replace_schema_metadata({**(table.schema.metadata or {}), key: value})


FOREIGN: dict[str, Callable[[pa.Table], pa.Table]] = {
    "text": lambda table: with_column(table, ["a"] * ROWS, pa.string()),
    "numbers": lambda table: with_column(table, [1] * ROWS, pa.int64()),
    "lists": lambda table: with_column(table, [[1]] * ROWS, pa.list_(pa.int32())),
    "too wide": lambda table: with_column(table, [b"x" * 1000] * ROWS, pa.binary(1000)),
    "nothing": lambda table: with_column(table, [None] * ROWS, pa.null()),
    "no column": lambda table: table.drop_columns(["x_end"]),
    "fewer rows": lambda table: table.slice(0, 2),
    "no rows": lambda table: table.slice(0, 0),
    "no metadata": lambda table: table.replace_schema_metadata(None),
    "deep metadata": lambda table: with_metadata(table, SPEC_KEY, b"[" * 100_000),
    "a list for a spec": lambda table: with_metadata(table, SPEC_KEY, b"[1]"),
    "no number": lambda table: with_metadata(table, SHARD_KEY, b"one"),
    "another number": lambda table: with_metadata(table, SHARD_KEY, b"-1"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_shard_is_one_line(
    what: str, store: Store, make_spec: Callable[..., TeacherSpec], commit: Callable[..., ShardRecord]
) -> None:
    spec = make_spec()
    record = commit(store, spec, 0)
    table = FOREIGN[what](pq.read_table(pa.BufferReader(store.read_bytes(record.key))))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    data = sink.getvalue()
    store.write_bytes(record.key, data)
    told = ShardRecord(0, hashlib.sha256(data).hexdigest(), record.key, record.rows, len(data))
    with pytest.raises(InputError) as refused:
        read_shard(store, spec, told)
    assert len(str(refused.value).splitlines()) == 1
