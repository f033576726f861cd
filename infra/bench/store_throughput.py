"""Throughput of our shards over raw s3fs: `python -m infra.bench.store_throughput`, against Swift on this machine.

Write: Arrow columns to a committed shard (Parquet, sha256, look whether it is there, PUT). Read: a file of the store
to verified Arrow columns (GET, sha256, Parquet). Raw: the same bytes through s3fs's `pipe_file` and `cat_file`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import fsspec
import pyarrow as pa
import torch

from infra.stack.swift import start_swift
from lsd_core.storage.store import Store
from lsd_core.trajectories import TeacherSpec, Trajectories, commit_shard
from lsd_core.trajectories.read import arrow_columns, verified_bytes
from lsd_core.trajectories.schema import layout, self_description
from lsd_core.trajectories.write import to_arrow, to_parquet

TARGET = 0.7


def spec_of(rows: int) -> TeacherSpec:
    """1024 steps over 1024 positions of GPT-2 tokens: 3.3 kB a trajectory."""
    return TeacherSpec(
        backbone="benchmark",
        backbone_fingerprint="0" * 64,
        process={"kind": "absorbing"},
        method="euler",
        law_version=1,
        steps=1024,
        time_grid="uniform",
        dtype="float32",
        batch=1,
        shard_rows=rows,
        length=1024,
        num_tokens=50257,
        seed=0,
    )


def columns_of(spec: TeacherSpec, shard: int) -> pa.Table:
    """Uniformly random tokens and steps: the worst case for every encoding."""
    gen = torch.Generator().manual_seed(shard)
    shape = (spec.shard_rows, spec.length)
    rows = spec.rows(shard)
    trajectories = Trajectories(
        index=torch.arange(rows.start, rows.stop),
        num_tokens=spec.num_tokens,
        steps=spec.steps,
        x_end=torch.randint(spec.num_tokens, shape, generator=gen),
        reveal_step=torch.randint(1024, shape, generator=gen),
    )
    return to_arrow(trajectories, spec)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(store: Store, rows: int, rounds: int) -> dict[str, list[float]]:
    """MB/s of each way in each round; a round does all of them, every other round in the opposite order."""
    spec, raw = spec_of(rows), fsspec.filesystem("s3", default_cache_type="none", use_listings_cache=False)
    names, speeds = [column.name for column in layout(spec)], dict[str, list[float]]()
    raw_path = store.url.removeprefix("s3://") + "/raw"
    size = 0
    for shard in range(rounds + 1):  # the first round warms up connections
        table = columns_of(spec, shard)
        metadata = self_description(spec, shard)
        data = to_parquet(table, metadata)
        size = len(data)
        record = commit_shard(store, spec, 10_000 + shard, data)  # what will be read
        raw.pipe_file(f"{raw_path}-{shard}", data)
        ways: dict[str, Callable[[], object]] = {
            "raw write": lambda data=data, shard=shard: raw.pipe_file(f"{raw_path}-{shard}-again", data),  # type: ignore[misc]
            "write": lambda t=table, m=metadata, i=shard: commit_shard(store, spec, i, to_parquet(t, m)),  # type: ignore[misc]
            "raw read": lambda shard=shard: raw.cat_file(f"{raw_path}-{shard}"),  # type: ignore[misc]
            "read": lambda record=record: arrow_columns(verified_bytes(store, record), names),  # type: ignore[misc]
        }
        for name in reversed(ways) if shard % 2 else ways:
            spent = seconds(ways[name])
            if shard:
                speeds.setdefault(name, []).append(size / 1e6 / spent)
    print(f"shards of {size / 1e6:.1f} MB, {size / rows:.0f} bytes a trajectory, {rounds} rounds")
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6000, help="trajectories a shard, 3.3 kB each")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    if asked.rounds < 2:
        parser.error(f"--rounds must be >= 2, got {asked.rounds}")
    with tempfile.TemporaryDirectory(prefix="lsd-bench-") as folder, start_swift(Path(folder)) as swift:
        os.environ |= swift.env()
        speeds = measure(Store(swift.make_bucket("bench")), asked.rows, asked.rounds)
    for name in ("write", "read"):
        ours, raw = speeds[name], speeds[f"raw {name}"]
        ratio = median(ours) / median(raw)
        low, _, high = quantiles([mine / theirs for mine, theirs in zip(ours, raw, strict=True)])
        verdict = "reached" if ratio >= TARGET else "missed"
        print(
            f"{name}: {median(ours):.0f} MB/s, raw s3fs {median(raw):.0f} MB/s, ratio {ratio:.2f} "
            f"(half of the rounds {low:.2f} to {high:.2f}; target {TARGET}: {verdict})"
        )


if __name__ == "__main__":
    main()
