"""Scaling of the driver's own work, measured on ever larger grids: plans, keys, look-ups, manifests, no network.

Cells are made by asking for the grid again under other seeds, shards are small files with valid names and hashes.
Time and memory must grow linearly; `simulated_rows` measures them.
"""

import hashlib
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.box import SIMPLE_HEAD
from rich.table import Table

from flows.config import GridConfig
from flows.pipeline.plan import Plan, make_plan
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import committed, load_manifest, publish_manifest
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.write import ShardRecord, shard_key

SIZES = ((1_250, 125_000), (2_500, 250_000), (5_000, 500_000), (10_000, 1_000_000))
T = TypeVar("T")


def simulated_rows(config: GridConfig, sizes: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """For each size (cells, trajectories): counts, seconds of processor time, and the peak of Python's memory in MB."""
    rows = []
    teacher = make_plan(config).teachers[0]
    for cells, trajectories in sizes:
        keys, plan_s, plan_mb = _measured(partial(plan_cells, config, cells))
        with tempfile.TemporaryDirectory(prefix="lsd-simulated-") as folder:
            store = Store(folder)
            records = write_shards(store, teacher, teacher.num_shards(trajectories))
            _, shards_s, shards_mb = _measured(partial(resume, store, teacher, records))
        rows.append(
            {
                "cells": cells,
                "results": len(keys),
                "plan_s": round(plan_s, 2),
                "plan_mb": round(plan_mb, 1),
                "trajectories": trajectories,
                "shards": len(records),
                "shards_s": round(shards_s, 2),
                "shards_mb": round(shards_mb, 1),
            }
        )
    return rows


def plan_cells(config: GridConfig, cells: int) -> set[str]:
    """Lay out that many cells, and say which results they would need that an empty store does not hold."""
    missing: set[str] = set()
    for spec in candidates(config, cells):
        results = Results(Store("nowhere"), spec.work)
        missing.add(results.table_key(0))
        missing.update(
            results.measurement_key("report", which, 1.0) for which in range(spec.evaluation.seeds)
        )
    return missing


def candidates(config: GridConfig, cells: int) -> Iterator[CandidateSpec]:
    """The candidates of `cells` cells: the grid under one seed after another."""
    found, seed = 0, config.seed
    while found < cells:
        plan: Plan = make_plan(config.model_copy(update={"seed": seed}))
        grouped: dict[tuple[str, int, str], list[CandidateSpec]] = {}
        for spec in plan.candidates:
            grouped.setdefault((spec.backbone.fingerprint, spec.nfe, spec.sampler), []).append(spec)
        for group in list(grouped.values())[: cells - found]:
            yield from group
        found, seed = found + len(grouped), seed + 1


def write_shards(store: Store, teacher: TeacherSpec, shards: int) -> list[ShardRecord]:
    """Files that look like shards to all but a reader of their rows."""
    records = []
    Path(store.url, teacher.folder).mkdir(parents=True)
    for index in range(shards):
        data = f"shard {index}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        key = shard_key(teacher, index, sha256)
        Path(store.url, key).write_bytes(data)
        records.append(ShardRecord(index, sha256, key, teacher.shard_rows, len(data)))
    return records


def resume(store: Store, teacher: TeacherSpec, records: list[ShardRecord]) -> int:
    """What a driver does around a pool: find what is there, publish, and read it back as a cell would."""
    found = committed(store, teacher)
    publish_manifest(store, teacher, records)
    assert load_manifest(store, teacher).shards == tuple(found.values())
    return len(found)


def simulated_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows on a terminal."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{value:,}" for value in row.values()))
    return table


def _measured(work: Callable[[], T]) -> tuple[T, float, float]:
    """The result, the seconds of processor time it took, which depend less on what else the machine does, and the
    peak of Python's memory in MB, from a second run that traces it."""
    begin = time.process_time()
    work()
    seconds = time.process_time() - begin
    tracemalloc.start()
    try:
        result = work()
        return result, seconds, tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
