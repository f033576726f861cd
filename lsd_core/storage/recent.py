"""Cache of what was read, bounded in bytes, so that what a driver holds does not grow with its grid."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")
MOST_BYTES = 256 << 20  # more than all measurements of one backbone in the largest of the ready grids


@dataclass(slots=True)
class _Held:
    value: Any
    num_bytes: int
    place: int
    """Of its key among all keys."""


class Recent:
    """Values by key. Threads may share it.

    What is forgotten is drawn at random, and not what was asked for longest ago: a driver reads a large grid from
    begin to end, again and again, and would each time have forgotten what comes next.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes, self._lock = most_bytes, 0, Lock()
        self._held, self._keys = dict[str, _Held](), list[str]()  # keys in any order, to draw from
        self._random = Random(0)

    def find(self, key: str, read: Callable[[], T], size: Callable[[T], int]) -> T:
        """What is held under the key, or else what `read` returns, of so many bytes."""
        with self._lock:
            if key in self._held:
                found: T = self._held[key].value
                return found
        value = read()
        num_bytes = size(value)
        with self._lock:
            self._drop(key)
            if num_bytes > self._most:
                return value
            self._held[key] = _Held(value, num_bytes, len(self._keys))
            self._keys.append(key)
            self._bytes += num_bytes
            while self._bytes > self._most:
                self._drop(self._random.choice(self._keys))
        return value

    def forget(self, key: str) -> None:
        """Have it read again: the file is no longer what it was."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._keys.clear()
            self._bytes = 0

    def _drop(self, key: str) -> None:
        if (dropped := self._held.pop(key, None)) is None:
            return
        self._bytes -= dropped.num_bytes
        last = self._keys.pop()
        if last != key:  # it takes the place
            self._keys[dropped.place], self._held[last].place = last, dropped.place
