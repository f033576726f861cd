"""Columns of numbers as Parquet files that carry the digest of their content."""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsd_core.errors import InputError, MissingFileError
from lsd_core.metrics.across import Across
from lsd_core.storage.sealed import REMEDY
from lsd_core.storage.store import Store

COINCIDENCE = "coincidence"
_DIGEST = b"sha256"


def encode(columns: Mapping[str, np.ndarray]) -> bytes:
    """Parquet, with the digest of the columns in its metadata."""
    sink = io.BytesIO()
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({_DIGEST: _digest_of(columns)})
    pq.write_table(table, sink, compression="zstd", use_dictionary=True, write_statistics=False)
    return sink.getvalue()


def decode(store: Store, key: str) -> dict[str, np.ndarray]:
    """Columns that are what their digest says; a file of an earlier version has none."""
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:
        raise MissingFileError(store.locate(key), "exist", "no file", REMEDY) from None
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)  # files are small
        columns: dict[str, np.ndarray] = {name: table[name].to_numpy() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(store.locate(key), "be whole Parquet", reason, REMEDY) from None
    told, found = (table.schema.metadata or {}).get(_DIGEST), _digest_of(columns)
    if told is not None and told.decode(errors="replace") != found:
        raise InputError(store.locate(key), "have the content of its digest", found, REMEDY)
    return columns


def _digest_of(columns: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types and values."""
    running = hashlib.sha256()
    for name, values in sorted(columns.items()):
        running.update(f"{name} {values.dtype.str} {len(values)}\n".encode())
        running.update(np.ascontiguousarray(values).tobytes())
    return running.hexdigest()


def columns_of(across: Across) -> dict[str, np.ndarray]:
    """`coincidence/4`, `position/0`: a row a sample."""
    columns = {f"{COINCIDENCE}/{size}": values for size, values in across.coincidence.items()}
    for name, places in across.places.items():
        columns |= {f"{name}/{place}": places[:, place].astype(np.int32) for place in range(places.shape[1])}
    return columns


def across_of(columns: Mapping[str, np.ndarray]) -> Across:
    """The statistics whose columns these are."""
    coincidence, places = dict[int, np.ndarray](), dict[str, list[np.ndarray]]()
    for column, values in columns.items():
        name, number = column.rsplit("/", 1)
        if name == COINCIDENCE:
            coincidence[int(number)] = values
        else:
            places.setdefault(name, []).append(values.astype(np.int64))
    return Across(
        coincidence=coincidence, places={name: np.stack(values, axis=1) for name, values in places.items()}
    )
