"""Cache of what was read last, bounded in bytes, so that what a driver holds does not grow with its grid."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")
MOST_BYTES = 256 << 20  # more than all measurements of one backbone in the largest of the ready grids


class Recent:
    """Values by key, the one that was asked for longest ago forgotten first. Threads may share it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes, self._lock = most_bytes, 0, Lock()
        self._held = OrderedDict[str, tuple[Any, int]]()

    def find(self, key: str, read: Callable[[], T], size: Callable[[T], int]) -> T:
        """What is held under the key, or else what `read` returns, of so many bytes."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                found: T = self._held[key][0]
                return found
        value = read()
        with self._lock:
            self._drop(key)
            self._held[key] = value, size(value)
            self._bytes += self._held[key][1]
            while self._bytes > self._most:
                self._drop(next(iter(self._held)))
        return value

    def forget(self, key: str) -> None:
        """Have it read again: the file is no longer what it was."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        self._bytes -= self._held.pop(key, (None, 0))[1]
