"""One shard of a teacher's trajectories: generated, encoded, committed."""

import time
from dataclasses import dataclass

import torch

from lsd_core.backbones.device import device_kind
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.candidates.teacher import generate_shard
from lsd_core.storage.store import Store
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard
from workers.jobs import ShardJob
from workers.timing import Spent, Stopwatch


@dataclass(frozen=True, kw_only=True)
class ShardDone:
    """A shard on the store, and what it took; the times are for people and plans, and go into no shard."""

    record: ShardRecord
    generate_s: float
    """In the network and its draws."""
    commit_s: float
    """Encoding and writing."""
    device_kind: str
    """What the worker computed on."""
    spent: Spent | None = None
    """And how much of it was the network."""


def make_shard(
    job: ShardJob, backbone: AnyBackbone, store: Store, device: torch.device, watch: Stopwatch
) -> ShardDone:
    """Make a shard, which is a function of the spec and its number: a worker that dies loses nothing but time."""

    def make() -> tuple[ShardRecord, float]:
        begin = time.perf_counter()
        trajectories = generate_shard(backbone, job.teacher, job.shard, device).to("cpu")
        generate_s = time.perf_counter() - begin
        return commit_shard(
            store, job.teacher, job.shard, encode_shard(trajectories, job.teacher)
        ), generate_s

    timed = watch.time(make)
    record, generate_s = timed.result
    return ShardDone(
        record=record,
        generate_s=generate_s,
        commit_s=timed.spent.wall_s - generate_s,
        device_kind=device_kind(device),
        spent=timed.spent,
    )
