"""The teacher's worker: one shard of trajectories at a time, generated, encoded, committed."""

from lsd_core.backbones.publish import fetch
from lsd_core.store import Store
from lsd_core.teacher import generate_shard
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard


class TeacherWorker:
    """Holds the backbone; `run` maps the number of a shard to its record on the store.

    A shard is a function of the spec and its number, so a worker that dies loses nothing but time.
    """

    def __init__(self, store_url: str, spec: dict[str, object]) -> None:
        self.store, self.spec = Store(store_url), TeacherSpec.from_dict(spec)
        self.backbone = fetch(self.spec.backbone_fingerprint, self.store)

    def run(self, shard: int) -> ShardRecord:
        trajectories = generate_shard(self.backbone, self.spec, shard)
        return commit_shard(self.store, self.spec, shard, encode_shard(trajectories, self.spec))
