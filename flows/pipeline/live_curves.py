"""Log learning curves to the registry while cells train, from a thread of its own.

Curves are for watching: a run neither waits for them nor fails because the registry is away. What could not be
logged is kept for a while and tried again; the whole history is logged with each sampler in any case.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from flows.pipeline.progress import Progress, listener
from flows.pipeline.retries import may_pass
from lsd_core import registry
from workers.messages import Message, Points

KEPT = 5000  # lines that wait for a registry that is away
RETRY_S = 2.0
PATIENCE_S = 5.0  # how long the end of a run waits for what is not logged yet


class LiveCurves:
    """Logs points as runs of the registry, between the start and the end of its `with` block."""

    def __init__(self, tracking_uri: str, progress: Progress, flow_run: str = "") -> None:
        self._uri, self._progress, self._flow_run = tracking_uri, progress, flow_run
        self._queue = queue.SimpleQueue[Message | None]()
        self._waiting = deque[Message](maxlen=KEPT)
        self._open: dict[str, tuple[str, tuple[str, int]]] = {}  # key of the job -> its run, its worker
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="curves", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    def take(self, message: Message) -> None:
        """From any thread, at once: points to be logged."""
        self._queue.put(message)

    def _work(self) -> None:
        away = False
        while not (self._closed.is_set() and (away or (self._queue.empty() and not self._waiting))):
            self._collect(RETRY_S if away else None)
            try:
                while self._waiting:
                    self._file(self._waiting[0])
                    self._waiting.popleft()
                away = False
            except Exception as error:  # a server may raise anything, and no cell may fail of it
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                if may_pass(error):
                    if not away:
                        self._progress.say(f"learning curves wait for the registry: {reason}")
                    away = True
                else:
                    self._waiting.popleft()
                    self._progress.say(f"a piece of a learning curve was refused: {reason}")
        with contextlib.suppress(Exception):
            for run_id, _ in self._open.values():
                registry.end_curve(run_id, "KILLED", tracking_uri=self._uri)

    def _collect(self, wait_s: float | None) -> None:
        """All messages so far; waits for something, or for the time given."""
        if wait_s is not None:
            self._closed.wait(wait_s)
        elif (message := self._queue.get()) is not None:
            self._waiting.append(message)
        with contextlib.suppress(queue.Empty):
            while True:
                if (message := self._queue.get_nowait()) is not None:
                    self._waiting.append(message)

    def _file(self, message: Message) -> None:
        found = message.points()
        if found is None:
            return
        run_id = self._run_of(found, (message.host, message.pid))
        registry.add_points(run_id, found.points, tracking_uri=self._uri)
        if found.status != "RUNNING":
            registry.end_curve(run_id, found.status, tracking_uri=self._uri)
            del self._open[found.key]

    def _run_of(self, found: Points, worker: tuple[str, int]) -> str:
        """The run of a curve; a job that was begun anew by another worker gets another."""
        run_id, by = self._open.get(found.key, ("", worker))
        if run_id and by != worker:
            registry.end_curve(run_id, "KILLED", tracking_uri=self._uri)
            run_id = ""
        if not run_id:
            run_id = registry.begin_curve(
                found.backbone,
                found.title,
                key=found.key,
                flow_run=self._flow_run,
                tracking_uri=self._uri,
            )
            self._open[found.key] = run_id, worker
        return run_id


def hearing(progress: Progress, curves: LiveCurves) -> Callable[[Message], None]:
    """Sorts messages of workers: points go to the curves, remarks to the listener."""
    words = listener(progress)

    def hear(message: Message) -> None:
        if message.is_points:
            curves.take(message)
        elif words is not None:
            words(message)

    return hear
