"""The teacher's worker: one shard of trajectories at a time, generated, encoded, committed."""

import time
from dataclasses import dataclass

from lsd_core.backbones.device import device_kind, place, worker_device
from lsd_core.backbones.publish import fetch
from lsd_core.candidates.teacher import generate_shard
from lsd_core.storage.store import Store
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard
from workers.messages import tell
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


class TeacherWorker:
    """Holds the backbone; `run` maps the number of a shard to its record on the store.

    A shard is a function of the spec and its number, so a worker that dies loses nothing but time.
    """

    def __init__(self, store_url: str, spec: dict[str, object]) -> None:
        self.store, self.spec = Store(store_url), TeacherSpec.from_dict(spec)
        self.device = worker_device()
        self._watch = Stopwatch()
        backbone = place(fetch(self.spec.backbone_fingerprint, self.store), self.device)
        self.backbone = self._watch.watch(backbone)

    def run(self, shard: int) -> ShardDone:
        timed = self._watch.time(lambda: self._make(shard))
        record, generate_s = timed.result
        done = ShardDone(
            record=record,
            generate_s=generate_s,
            commit_s=timed.spent.wall_s - generate_s,
            device_kind=device_kind(self.device),
            spent=timed.spent,
        )
        tell(
            f"shard {shard} of {self.spec.backbone} in {done.generate_s:.1f} s, stored in {done.commit_s:.1f} s"
        )
        return done

    def _make(self, shard: int) -> tuple[ShardRecord, float]:
        begin = time.perf_counter()
        trajectories = generate_shard(self.backbone, self.spec, shard, self.device).to("cpu")
        generate_s = time.perf_counter() - begin
        return commit_shard(self.store, self.spec, shard, encode_shard(trajectories, self.spec)), generate_s
