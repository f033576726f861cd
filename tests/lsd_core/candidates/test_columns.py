"""Columns at rest: what is read is what was written, or one line says that it is not."""

import numpy as np
import pytest

from lsd_core.candidates.columns import across_of, columns_of, decode, encode
from lsd_core.errors import InputError
from lsd_core.metrics.across import Across
from lsd_core.storage.store import Store

COLUMNS = {"score": np.linspace(0.0, 1.0, 64), "place/0": np.arange(64, dtype=np.int32) * 7}


@pytest.fixture
def store() -> Store:
    return Store("memory://columns")


def test_what_is_written_is_read(store: Store) -> None:
    store.write_bytes("a.parquet", encode(COLUMNS))
    read = decode(store, "a.parquet")
    assert read.keys() == COLUMNS.keys()
    assert all(np.array_equal(read[name], COLUMNS[name]) for name in COLUMNS)
    across = Across(coincidence={4: np.arange(3.0)}, places={"position": np.arange(6).reshape(3, 2)})
    again = across_of(columns_of(across))
    assert np.array_equal(again.places["position"], across.places["position"])
    assert np.array_equal(again.coincidence[4], across.coincidence[4])


def test_no_flipped_bit_changes_what_is_read(store: Store) -> None:
    """It is named, or lies where nothing is read from."""
    whole, named = encode(COLUMNS), list[str]()
    for at in range(0, len(whole), 3):
        spoiled = whole[:at] + bytes([whole[at] ^ (1 << (at % 8))]) + whole[at + 1 :]
        store.write_bytes("a.parquet", spoiled)
        try:
            read = decode(store, "a.parquet")
        except InputError as error:
            named.append(str(error))
            continue
        assert all(np.array_equal(read[name], COLUMNS[name]) for name in COLUMNS), at
    assert len(named) > len(whole) / 3 / 4
    assert all(line.startswith("memory://columns/a.parquet must ") for line in named)


def test_columns_without_a_digest_are_read_as_before(store: Store) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table({"score": pa.array([1.0, 2.0])}), sink)
    store.write_bytes("a.parquet", sink.getvalue())
    assert decode(store, "a.parquet")["score"].tolist() == [1.0, 2.0]
    with pytest.raises(InputError, match="must exist, got no file"):
        decode(store, "b.parquet")
