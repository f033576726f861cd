"""Files of a store that nothing needs: shards without a manifest, costs without a table, hints to no measurement."""

import time

from lsd_core.candidates.equal_tables import stale_hints
from lsd_core.candidates.shared_costs import unused_costs
from lsd_core.storage.store import Store
from lsd_core.trajectories.verify import WEEK_S, collect_garbage


def collect(
    store: Store, older_than_s: float = WEEK_S, now: float | None = None, dry_run: bool = False
) -> list[str]:
    """Delete all kinds where last written more than `older_than_s` ago, and give their keys.

    The age must exceed the longest run, whose manifests and tables are written after what they refer to.
    """
    now = time.time() if now is None else now
    found = collect_garbage(store, older_than_s, now, dry_run)
    before = now - older_than_s
    others = [*unused_costs(store, before), *stale_hints(store, before)]
    for key in () if dry_run else others:
        store.delete(key)
    return [*found, *others]
