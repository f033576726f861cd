"""A map that runs a few calls ahead in threads, so that reading overlaps computing in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ahead(function: Callable[[A], B], items: Iterable[A], depth: int = 4) -> Iterator[B]:
    """`map(function, items)` in order, with up to `depth` calls under way in threads; depth 0 uses none."""
    if depth < 1:
        yield from map(function, items)
        return
    pending: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(depth, thread_name_prefix="ahead")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
