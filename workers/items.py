"""What a pool has to do: items of a list, or of a source that is not all known from the start, and those lost."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")

# Spot machines are taken away: an item may lose its worker this often before it is suspected of killing it.
MAX_TASK_RETRIES = 8


class Source(Protocol[Item]):  # type: ignore[misc]
    """Items that are not all known from the start."""

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        ...

    def take(self) -> Item | None:
        """The next, if there is one now."""
        ...


@dataclass(frozen=True)
class Call(Generic[Item]):
    actor: Any
    item: Item
    deaths: int = 0  # workers that it has lost
    alone: bool = False  # a last try, with nothing queued beside it


class Listed(Generic[Item]):
    """The source of an iterable, read as needed."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items, self.closed = iter(items), False

    def take(self) -> Item | None:
        try:
            return next(self._items)
        except StopIteration:
            self.closed = True
            return None


class Queue(Generic[Item]):
    """What is to be done, as (item, workers it has lost): what came back first, then the source."""

    def __init__(self, source: Source[Item]) -> None:
        self._source, self._again = source, deque[tuple[Item, int]]()
        self.alone = list[tuple[Item, int]]()

    @property
    def empty(self) -> bool:
        return self._source.closed and not self._again and not self.alone

    def take(self) -> tuple[Item, int] | None:
        if self._again:
            return self._again.popleft()
        item = None if self._source.closed else self._source.take()
        return None if item is None else (item, 0)

    def give_back(self, call: Call[Item]) -> None:
        """An item whose worker died; its count of deaths says whether it may have been the cause."""
        (self._again if call.deaths <= MAX_TASK_RETRIES else self.alone).append((call.item, call.deaths))
