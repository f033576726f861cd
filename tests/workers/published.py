"""What the workers of a plan read, on a store without a pool."""

from flows.pipeline.plan import Plan
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import publish_manifest
from workers import worker
from workers.jobs import ShardJob


def publish_plan(plan: Plan, store: Store) -> None:
    """Publish the backbones of a plan, and two shards of each of its teachers."""
    for backbone in plan.backbones:
        publish(backbone, store)
    for teacher in plan.teachers:
        shards = [ShardJob(teacher=teacher, shard=shard) for shard in range(2)]
        publish_manifest(store, teacher, [worker.Worker(store.url).run(shard).record for shard in shards])
