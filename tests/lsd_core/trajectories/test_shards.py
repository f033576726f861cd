"""A shard holds its trajectories exactly, in few bytes, always the same ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.trajectories import TeacherSpec, Trajectories, encode_shard, equal
from lsd_core.trajectories.read import arrow_columns, decode_shard, describe, packed_rows

KINDS: list[dict[str, Any]] = [
    {},
    {"length": 1, "num_tokens": 1, "shard_rows": 1},
    {"length": 300, "num_tokens": 256},
    {"steps": 1},
    {"steps": 1000, "num_tokens": 50257, "length": 33},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_decoding_returns_every_bit(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories], kind: dict[str, Any]
) -> None:
    spec = make_spec(**kind)
    given = draw(spec, shard=2)
    assert equal(decode_shard(encode_shard(given, spec), spec), given)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_same_trajectories_give_the_same_bytes(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories], kind: dict[str, Any]
) -> None:
    spec = make_spec(**kind)
    wide = {name: column.long() for name, column in draw(spec).columns().items()}
    once, again = encode_shard(draw(spec), spec), encode_shard(replace(draw(spec), **wide), spec)
    assert once == again
    assert once != encode_shard(draw(spec, shard=1), spec)


def test_long_path_of_random_tokens_takes_at_most_4_kb(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]
) -> None:
    spec = make_spec(steps=1024, length=1024, num_tokens=50257, shard_rows=256)
    assert len(encode_shard(draw(spec), spec)) / 256 <= 3400  # 1024 (16 + 10) bits are 3328 bytes


def test_ranks_in_the_order_of_the_times_are_stored_as_zeros(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]
) -> None:
    spec = make_spec(length=100)
    given = draw(spec)
    order = given.reveal_time.argsort(dim=1, descending=True, stable=True)
    columns = arrow_columns(encode_shard(replace(given, rank=order.argsort()), spec), ["rank"])
    assert b"".join(columns["rank"].to_pylist()).strip(b"\0") == b""


def test_file_describes_itself(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]
) -> None:
    spec = make_spec(steps=9)
    schema = pq.read_schema(pa.BufferReader(encode_shard(draw(spec, shard=3), spec)))
    assert describe(schema) == (spec, 3)
    assert b'"bits":4' in schema.metadata[b"lsd.layout"]  # nine steps take four bits


@pytest.mark.parametrize("columns", [("x_end",), ("rank",), ("x_end", "rank"), ("reveal_time",)])
def test_projection_reads_those_columns_alone(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories], columns: tuple[str, ...]
) -> None:
    spec = make_spec()
    given = draw(spec)
    data = encode_shard(given, spec)
    assert arrow_columns(data, columns).column_names == sorted(columns)
    found = decode_shard(data, spec, columns)
    assert set(found.columns()) == set(columns)
    assert all(torch.equal(found.columns()[name], given.columns()[name]) for name in columns)


def test_many_row_groups_read_as_one_shard(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsd_core.trajectories.write._ROW_GROUP_BYTES", 64)
    spec = make_spec(shard_rows=20)
    data = encode_shard(draw(spec), spec)
    assert pq.ParquetFile(pa.BufferReader(data)).num_row_groups > 2
    assert equal(decode_shard(data, spec), draw(spec))


def test_slice_of_a_column_is_read_from_where_it_starts() -> None:
    whole = pa.array([b"ab", b"cd", b"ef"], type=pa.binary(2))
    assert packed_rows(pa.chunked_array([whole.slice(1), whole.slice(0, 1)])).tobytes() == b"cdefab"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.select(slice(1, None)), "whole shards"),
        (lambda t: replace(t, index=t.index + 1), "whole shards"),
        (lambda t: replace(t, num_tokens=t.num_tokens + 1), "of their teacher"),
        (lambda t: replace(t, rank=None), "of their teacher"),
        (lambda t: replace(t, x_end=t.x_end + 1), "x_end must lie in"),
        (lambda t: replace(t, x_end=t.x_end - 1), "x_end must lie in"),
        (lambda t: replace(t, reveal_time=t.reveal_time + 40000), "reveal_time must lie in"),
        (lambda t: replace(t, rank=t.rank.flip(1)), "rank must number"),
        (lambda t: replace(t, rank=t.rank.clamp(min=1), reveal_time=t.rank * 0), "rank must number"),
    ],
)
def test_trajectories_that_break_their_spec_are_refused(
    make_spec: Callable[..., TeacherSpec],
    draw: Callable[..., Trajectories],
    change: Callable[[Trajectories], Trajectories],
    named: str,
) -> None:
    spec = make_spec()
    with pytest.raises(InputError, match=named):
        encode_shard(change(draw(spec)), spec)


def test_file_of_another_teacher_or_shard_is_refused(
    make_spec: Callable[..., TeacherSpec], draw: Callable[..., Trajectories]
) -> None:
    spec, other = make_spec(), make_spec(seed=99)
    data = encode_shard(draw(spec), spec)
    with pytest.raises(InputError, match=f"of teacher {other.hash}, got shard 0 of {spec.hash}"):
        decode_shard(data, other)
    with pytest.raises(InputError, match="be number 1"):
        decode_shard(data, spec, shard=1)
