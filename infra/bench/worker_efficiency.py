"""Overhead of orchestration: `python -m infra.bench.worker_efficiency`, two pool workers against two plain processes.

Both do the same shards of the same teacher on one thread each, in turn, every other round the pool first. A plain
process loads the backbone, then generates, encodes and commits its half of the shards, with no Ray on the machine;
the pool does the same through Ray: its own processes, submission, results and the last straggler included. Neither
pays for its start or its end. Workers of both have the priority of this command (Ray's own default is niceness 15), and
both keep the memory that they free.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.numerics.allocator import keep_freed_memory
from lsd_core.storage.store import Store
from lsd_core.trajectories.spec import TeacherSpec
from workers.jobs import Job, ShardJob
from workers.pool import Pool
from workers.session import LOCAL, ray_session
from workers.worker import Worker

TARGET = 0.95
WORKERS = 2


def job(spec: dict[str, Any], shard: int) -> ShardJob:
    """One shard of a teacher."""
    return ShardJob(teacher=TeacherSpec.from_dict(spec), shard=shard)


def plain(url: str, spec: dict[str, Any], shards: list[int], barrier: Any) -> None:
    """One process of the control."""
    import torch

    keep_freed_memory()
    torch.set_num_threads(1)
    try:
        worker = Worker(url)
        worker.run(job(spec, shards[0] + 1_000_000))  # warm, as the pool's actors are
        barrier.wait()
        for shard in shards:
            worker.run(job(spec, shard))
        barrier.wait()
    except Exception:
        barrier.abort()
        raise


def plain_seconds(url: str, spec: dict[str, Any], shards: int) -> float:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WORKERS + 1)
    parts = [list(range(which, shards, WORKERS)) for which in range(WORKERS)]
    processes = [context.Process(target=plain, args=(url, spec, part, barrier)) for part in parts]
    for process in processes:
        process.start()
    barrier.wait()
    begin = time.perf_counter()
    barrier.wait()
    spent = time.perf_counter() - begin
    for process in processes:
        process.join()
    return spent


def pool_seconds(url: str, spec: dict[str, Any], shards: int) -> tuple[float, float]:
    """Seconds for all shards, and the share of them in which a worker was at work."""
    with Pool[Job, Any](Worker, (url,), num_workers=WORKERS) as pool:
        warm = [job(spec, shard) for shard in range(2_000_000, 2_000_000 + WORKERS)]
        list(pool.map(warm, raise_errors=True))
        begin = time.perf_counter()
        done = [
            outcome.result
            for outcome in pool.map([job(spec, shard) for shard in range(shards)], raise_errors=True)
        ]
        spent = time.perf_counter() - begin
    busy = sum(shard.generate_s + shard.commit_s for shard in done if shard is not None)
    return spent, busy / spent / WORKERS


def teacher(rows: int) -> TeacherSpec:
    backbone = load_backbone("countdown")
    return teacher_spec(
        backbone, method="first_hitting", steps=None, batch=min(64, rows), shard_rows=rows, seed=0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="work a shard, about")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (Ray spells it so)
    folder = Path(tempfile.mkdtemp(prefix="lsd-bench-"))
    try:
        store = Store(str(folder / "store"))
        publish(load_backbone("countdown"), store)
        keep_freed_memory()
        probe, small = Worker(store.url), teacher(64).to_dict()
        probe.run(job(small, 0))
        begin = time.process_time()
        probe.run(job(small, 1))
        rows = max(1, round(asked.seconds / (time.process_time() - begin))) * 64
        control, ours, busy = [], [], []

        def through_pool(spec: dict[str, Any]) -> None:
            with ray_session(LOCAL, num_cpus=WORKERS):
                spent, share = pool_seconds(store.url, spec, asked.shards)
            ours.append(spent)
            busy.append(share)

        def alone(spec: dict[str, Any]) -> None:
            control.append(plain_seconds(store.url, spec, asked.shards))

        for turn in range(asked.rounds):
            ways = [alone, through_pool]
            for way in reversed(ways) if turn % 2 else ways:
                way(teacher(rows).to_dict() | {"seed": turn})
                shutil.rmtree(Path(store.url, "teachers"))
            print(f"round {turn}: plain {control[-1]:.1f} s, pool {ours[-1]:.1f} s", flush=True)
    finally:
        shutil.rmtree(folder)
    ratio = median(control) / median(ours)
    rounds = " ".join(f"{plain / pool:.3f}" for plain, pool in zip(control, ours, strict=True))
    print(
        f"{asked.shards} shards of {rows} trajectories: plain {median(control):.1f} s, pool {median(ours):.1f} s, "
        f"ratio {ratio:.3f} (by round {rounds}; target {TARGET}: {'reached' if ratio >= TARGET else 'missed'}); "
        f"workers at work {median(busy):.1%} of the time"
    )


if __name__ == "__main__":
    main()
