"""Change a file of the store that others change too, so that no change is lost."""

import random
import time
from collections.abc import Callable

from lsd_core.errors import Unreachable
from lsd_core.storage.store import Store

TRIES = 40
CONDITIONAL = 20
"""As many tries say which content they replace; the others write all the same, and look again."""


def update(store: Store, key: str, change: Callable[[bytes | None], bytes]) -> None:
    """Make the content, None if there is none, what `change` makes of it; changing it twice is as once.

    In a folder a lock excludes others. On S3 a write names the content it replaces, and is repeated where another
    came first. A server that does not look at that condition is read again after each write.
    """
    with store.locked(key):
        for number in range(TRIES):
            found, tag = store.read_version(key)
            wanted = change(found)
            if wanted == found:
                return
            if number >= CONDITIONAL:
                store.write_bytes(key, wanted)
            elif store.write_version(key, wanted, tag) and store.is_local:
                return
            if number:
                time.sleep(random.uniform(0, 0.05 * min(number, 10)))
    raise Unreachable(store.locate(key), "keep what was written", "another content each time", "run it again")
