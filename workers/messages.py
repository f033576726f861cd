"""Messages from Ray workers to their driver: remarks for its log, and points of learning curves.

They travel through a small actor of the driver's, whose name workers know. Sending never waits for it: a message is
dropped without a listener, and where the actor has just died, which Ray then restarts.
"""

import asyncio
import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import ray
from ray.exceptions import RayError
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

MAILBOX = "lsd-messages"  # in the namespace of the driver, so that drivers of one cluster do not meet
ROOM = 10_000  # messages that wait for the driver; the oldest go first
PENDING = 1_000  # messages of one worker on their way
TAKE_S = 0.5  # how long the driver waits in one call for messages
LAST_S = 1.0  # how long the end of a curve may take to arrive
EVERY_S = 1.0  # how often points of a curve are sent
MOST_POINTS = 200  # in a message


def send(said: str | Mapping[str, Any], wait_s: float = 0.0) -> None:
    """On a worker: send a remark, or a record of points. Waits for its arrival only where asked to."""
    if not ray.is_initialized():
        return
    with contextlib.suppress(ValueError, RayError):  # no listener; too many are on their way
        sent = ray.get_actor(MAILBOX).post.remote(get_node_ip_address(), os.getpid(), said)
        if wait_s:
            ray.wait([sent], timeout=wait_s)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points of one job's learning curves, and what has become of the job."""

    key: str
    """Where the job's result will lie on the store: names the job."""
    backbone: str
    title: str
    points: list[tuple[int, dict[str, float]]]
    """(epoch or iteration, values)."""
    status: Literal["RUNNING", "FINISHED", "FAILED"] = "RUNNING"


@dataclass(frozen=True)
class Message:
    """A message as the driver gets it."""

    host: str
    pid: int
    said: str | Mapping[str, Any]

    def __str__(self) -> str:
        return f"[{self.host} {self.pid}] {self.said}"

    @property
    def is_points(self) -> bool:
        """Whether it is for curves, and not for people."""
        return not isinstance(self.said, str)

    def points(self) -> Points | None:
        """The points it carries; None for a record of another form, as another version's worker may send."""
        try:
            record = dict(self.said)  # type: ignore[arg-type]
            return Points(**record | {"points": [(step, values) for step, values in record["points"]]})
        except (ValueError, TypeError, KeyError):
            return None


class Curve:
    """On a worker: sends what a job learns while it learns, at most once a second; a watch of `learn`.

    As a context manager it sends the rest at the end, and whether the job failed.
    """

    def __init__(self, *, key: str, backbone: str, title: str) -> None:
        self._job = {"key": key, "backbone": backbone, "title": title}
        self._points: list[tuple[int, dict[str, float]]] = []
        self._sent_at = float("-inf")

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Take an entry of the history."""
        self._points.append((step, flat(values)))
        if len(self._points) >= MOST_POINTS or time.monotonic() - self._sent_at >= EVERY_S:
            self._send("RUNNING")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._points or self._sent_at > float("-inf"):  # nothing is learned where nothing was noted
            self._send("FINISHED" if kind is None else "FAILED", LAST_S)

    def _send(self, status: str, wait_s: float = 0.0) -> None:
        send({**self._job, "points": self._points, "status": status}, wait_s)
        self._points, self._sent_at = [], time.monotonic()


def flat(values: Mapping[str, Any]) -> dict[str, float]:
    """Finite numbers to six digits; of a list each entry has a name of its own: gains/00, gains/01, ..."""
    flattened: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, list):
            flattened |= flat({f"{name}/{k:02d}": entry for k, entry in enumerate(value)})
        elif math.isfinite(value):
            flattened[name] = float(f"{value:.6g}")
    return flattened


class Mailbox:
    """The actor: keeps messages until the driver takes them."""

    def __init__(self) -> None:
        self._messages, self._came = deque[tuple[str, int, Any]](maxlen=ROOM), asyncio.Event()

    async def post(self, host: str, pid: int, said: Any) -> None:
        """Keep a message."""
        self._messages.append((host, pid, said))
        self._came.set()

    async def take(self, wait_s: float) -> list[tuple[str, int, Any]]:
        """Everything sent so far; waits for something."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._came.wait(), wait_s)
        self._came.clear()
        messages = list(self._messages)
        self._messages.clear()
        return messages


@contextmanager
def listening(hear: Callable[[Message], None]) -> Iterator[None]:
    """In the driver, with Ray open: hand what workers send to `hear`, one after another, from a thread."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    options = {"num_cpus": 0, "max_restarts": -1, "max_pending_calls": PENDING, "scheduling_strategy": here}
    box = ray.remote(Mailbox).options(name=MAILBOX, **options).remote()
    closed = threading.Event()
    thread = threading.Thread(target=_listen, args=(box, hear, closed), name="messages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join(4 * TAKE_S)
        if ray.is_initialized():
            ray.kill(box)


def _listen(box: Any, hear: Callable[[Message], None], closed: threading.Event) -> None:
    last = False
    while not last:
        last = closed.is_set()
        try:
            for message in ray.get(box.take.remote(0.0 if last else TAKE_S)):
                hear(Message(*message))
        except RayError:  # the mailbox died: Ray restarts it
            closed.wait(TAKE_S)
        except Exception:  # Ray was closed
            if not ray.is_initialized():
                return
            raise
