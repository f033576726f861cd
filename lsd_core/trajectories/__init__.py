"""Trajectories at rest: the jump log of a teacher, as Parquet shards that verify and replay exactly.

Write: `encode_shard`, `commit_shard`, and last `publish_manifest`. Resume: `committed`. Read: `read_trajectories`, or
`stream_shards` of `published_shards`; then `state_at_count`, `state_at_time` or `state_at_step`. Look after: `verify`,
`collect_garbage`.
"""

from lsd_core.trajectories.manifest import (
    CorruptFileError,
    Manifest,
    committed,
    load_manifest,
    publish_manifest,
)
from lsd_core.trajectories.read import published_shards, read_trajectories, stream_shards
from lsd_core.trajectories.replay import state_at_count, state_at_step, state_at_time
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.types import Trajectories, concatenate, equal
from lsd_core.trajectories.verify import Problem, collect_garbage, verify
from lsd_core.trajectories.write import ShardRecord, commit_shard, encode_shard

__all__ = [
    "CorruptFileError",
    "Manifest",
    "Problem",
    "ShardRecord",
    "TeacherSpec",
    "Trajectories",
    "collect_garbage",
    "commit_shard",
    "committed",
    "concatenate",
    "encode_shard",
    "equal",
    "load_manifest",
    "publish_manifest",
    "published_shards",
    "read_trajectories",
    "state_at_count",
    "state_at_step",
    "state_at_time",
    "stream_shards",
    "verify",
]
