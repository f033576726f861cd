"""Scheduler of pieces of work on one pool of workers: a piece yields jobs, is sent their outcomes, and yields more.

A piece is a generator, so that what lies between its jobs is plain code of the driver's main thread, where signals
are heard. Jobs of the first piece come first, and a piece is begun when those before it leave a worker free: big
pieces first, and no worker idle while there is anything to do. What may pass, a job that failed or the code between
jobs, is tried again after a while, and nowhere below.
"""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from flows.pipeline.progress import Progress
from flows.pipeline.retries import DELAYS_S, may_pass
from lsd_core.errors import printable
from workers.jobs import Job
from workers.pool import Failure, Outcome, Pool

Outcomes = list[Outcome[Any, Any]]
Steps = Generator[Sequence[Job], Outcomes, Any]
"""Yields jobs that may be done side by side, is sent their outcomes in that order, and returns the piece's result."""


class CutOff(BaseException):
    """The run ended while a piece was under way: no failure of the piece."""


@dataclass(eq=False)
class Piece:
    """Something that a run makes by itself, such as a cell: its steps may be begun anew, and then find what is done."""

    name: str
    begin: Callable[[], Steps]
    width: int = 1
    """How many of its jobs there are at most."""
    after: "tuple[Piece, ...]" = ()
    """Pieces that must have ended before, well or not."""
    kind: Literal["teacher", "cell"] = "cell"
    future: "Future[Any]" = field(default_factory=Future)
    """Its result, or why there is none."""

    @property
    def error(self) -> BaseException | None:
        """Why it failed, once it has ended."""
        return self.future.exception()


@dataclass(eq=False)
class _Batch:
    """Jobs that a piece has asked for together."""

    place: int
    piece: Piece
    steps: Steps
    outcomes: list[Any]
    missing: int


class Scheduler:
    """The source of a pool's jobs; see `workers.pool.Source`."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        progress: Progress,
        *,
        begun: Callable[[Piece], None] = lambda piece: None,
        sent: Callable[[Job], None] = lambda job: None,
        done: Callable[[Outcome[Job, Any]], None] = lambda outcome: None,
    ) -> None:
        self._pieces, self._progress = pieces, progress
        self._begun, self._sent, self._done = begun, sent, done
        self._open = len(pieces)  # pieces that have not ended
        self._ready: list[int] = []  # places of pieces that wait for no other and are not begun: a heap
        self._jobs: list[tuple[int, int, Job]] = []  # (place of the piece, number, job): a heap
        self._later: list[tuple[float, int, Callable[[], None]]] = []  # (when, number, what): a heap
        self._owners: dict[int, tuple[_Batch, int]] = {}  # by id of the job, which its owner keeps alive
        self._tries: Counter[int] = Counter()  # of jobs by id, and of pieces by id
        self._out: dict[int, Job] = {}  # jobs that the pool has
        self._number = itertools.count()
        for piece in pieces:
            piece.future.add_done_callback(self._ended)
        for place, piece in enumerate(pieces):
            self._wait_for(place, list(piece.after))

    def run(self, pools: Callable[[], AbstractContextManager[Pool[Job, Any]]]) -> None:
        """Work until every piece has ended; an interrupt, or a pool that cannot be had, ends them all."""
        try:
            for delay_s in (*DELAYS_S, None):
                try:
                    with pools() as pool:
                        for outcome in pool.map(self):
                            self._finish(outcome)
                    return
                except Exception as error:
                    if delay_s is None or not may_pass(error):
                        raise
                    self._progress.say(f"workers: again in {delay_s} s, since {reason_of(error)}")
                    for job in self._out.values():
                        self._push(job)
                    self._out.clear()
                    time.sleep(delay_s)
        finally:
            for piece in self._pieces:
                if not piece.future.done():
                    piece.future.set_exception(CutOff("The run was cut off; what was published stays."))

    @property
    def closed(self) -> bool:
        """Whether every piece has ended."""
        return not self._open

    def take(self) -> Job | None:
        """The next job, if there is one now."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        while not self._jobs and self._ready:
            place = heapq.heappop(self._ready)
            self._begun(self._pieces[place])
            self._begin(place)
        if not self._jobs:
            return None
        job = heapq.heappop(self._jobs)[2]
        self._out[id(job)] = job
        self._sent(job)
        return job

    def _ended(self, future: "Future[Any]") -> None:
        self._open -= 1

    def _wait_for(self, place: int, after: list[Piece]) -> None:
        """Have a piece ready once these have ended, one after another: each is looked at once, as it ends."""
        if after:
            after.pop().future.add_done_callback(lambda _: self._wait_for(place, after))
        else:
            heapq.heappush(self._ready, place)

    def _begin(self, place: int) -> None:
        piece = self._pieces[place]
        self._advance(_Batch(place, piece, piece.begin(), [], 0), None)

    def _advance(self, batch: _Batch, outcomes: Outcomes | None) -> None:
        """Let a piece go on until it asks for jobs, ends, or fails."""
        piece = batch.piece
        try:
            jobs: Sequence[Job] = batch.steps.send(outcomes)  # type: ignore[arg-type]
            while not jobs:
                jobs = batch.steps.send([])
        except StopIteration as end:
            piece.future.set_result(end.value)
        except Exception as error:
            again = self._again(id(piece), error, piece.name, lambda: self._begin(batch.place))
            if not again:
                piece.future.set_exception(error)
        else:
            asked = _Batch(batch.place, piece, batch.steps, [None] * len(jobs), len(jobs))
            for slot, job in enumerate(jobs):
                self._owners[id(job)] = asked, slot
                asked.outcomes[slot] = job  # until its outcome takes its place
                self._push(job)

    def _push(self, job: Job) -> None:
        heapq.heappush(self._jobs, (self._owners[id(job)][0].place, next(self._number), job))

    def _finish(self, outcome: Outcome[Job, Any]) -> None:
        """Hand an outcome to its piece, once the job need not be tried again."""
        job = self._out.pop(id(outcome.item))
        batch, slot = self._owners[id(job)]
        if outcome.failure is not None and self._again(
            id(job), outcome.failure, batch.piece.name, lambda: self._push(job)
        ):
            return
        self._done(outcome)
        del self._owners[id(job)]
        self._tries.pop(id(job), None)
        batch.outcomes[slot] = outcome
        batch.missing -= 1
        if not batch.missing:
            self._advance(batch, batch.outcomes)

    def _again(self, key: int, error: BaseException | Failure, name: str, retry: Callable[[], None]) -> bool:
        """Whether something that failed is tried again, which it then is when its time comes."""
        tries = self._tries[key]
        if tries >= len(DELAYS_S) or not may_pass(error):
            return False
        self._tries[key] += 1
        heapq.heappush(self._later, (time.monotonic() + DELAYS_S[tries], next(self._number), retry))
        self._progress.say(f"{name}: again in {DELAYS_S[tries]} s, since {reason_of(error)}")
        return True


def reason_of(error: BaseException | Failure) -> str:
    """One line: `ValueError: ...`."""
    kind = error.kind if isinstance(error, Failure) else type(error).__name__
    words = error.message if isinstance(error, Failure) else str(error)
    return printable(f"{kind}: {words}".splitlines()[0])
