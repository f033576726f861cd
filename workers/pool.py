"""A pool of Ray actors that works through items: bounded, restartable, each failure returned with its reason.

A worker is a plain class with `run(item) -> result`; it needs no Ray and can be tested without it. The
pool builds one on each actor from `init_args`, so that a backbone is loaded once per actor.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from lsd_core.numerics.allocator import keep_freed_memory
from workers.items import Call, Item, Listed, Queue, Source
from workers.memory_watch import MemoryWatch
from workers.signals import heard_meanwhile

Result = TypeVar("Result")
ItemIn = TypeVar("ItemIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # Ray colours its tracebacks
POLL_S = 0.5  # how soon stop() is heard, and a source that had nothing to do is asked again
NODES_S = 15.0  # without any worker, before the cluster's nodes are counted
MEMORY_REMEDY = "ask for fewer workers or a smaller batch, or give the nodes more memory"
SHORT_S = 2.0  # items that take longer do not wait in a worker's queue, where no other can take them
INTERRUPT_GRACE_S = 10.0  # how long Ctrl-C waits for what is being worked on; a second one does not wait


class Worker(Protocol[ItemIn, ResultOut]):
    """The interface of a worker; `run` must give the same result each time, since a lost item is run again."""

    def run(self, item: ItemIn) -> ResultOut: ...


class PoolStopped(RuntimeError):
    """`Pool.stop` was called while items were still under way."""


class WorkerNotBuilt(RuntimeError):
    """An actor could not make its worker: weights that are missing, a store that does not answer."""


class ItemFailed(RuntimeError):
    """An item ended in an error and the caller asked for errors to be raised; `failure` has the traceback."""

    def __init__(self, item: object, failure: "Failure") -> None:
        super().__init__(f"{item!r} failed: {failure.kind}: {failure.message}")
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The reason why an item has no result."""

    kind: str
    """Name of the exception's type, e.g. `ValueError`, or `ActorDiedError` for a worker that kept dying."""
    message: str
    details: str
    """The traceback on the worker."""
    lost_worker: bool = False
    """Whether the worker died of it."""


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Item, Result]):
    """An item with its result, or with the failure that took its place."""

    item: Item
    result: Result | None = None
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


Progress = Callable[[int, Outcome[Any, Any]], None]
"""Called in the driver as (number of items finished, the outcome that has just come)."""


class _Host:
    """The actor's side: one worker, one torch thread."""

    def __init__(
        self, build: Callable[..., Worker[Any, Any]], init_args: tuple[Any, ...], label: str
    ) -> None:
        self._build, self._init_args, self._label = build, init_args, label
        self._worker: Worker[Any, Any] | None = None

    def __repr__(self) -> str:
        """As Ray's dashboard and logs name the actor."""
        return self._label

    def ready(self) -> None:
        """Build the worker: a call of its own, so that an error in it arrives as it was raised."""
        if not ray.get_gpu_ids():
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves every GPU in sight of who asked for none
        import torch

        keep_freed_memory()
        torch.set_num_threads(1)
        self._worker = self._build(*self._init_args)

    def run(self, item: Any) -> Any:
        if self._worker is None:  # a restarted actor
            self.ready()
        assert self._worker is not None
        return self._worker.run(item)


class Pool(Generic[Item, Result]):
    """`num_workers` actors, each holding at most `depth` items; use as a context manager.

    One that takes more than SHORT_S an item holds one, and so does each while others are starting: what is left
    goes to whichever is free first.

    An actor that dies is restarted where there is room, which may be never; meanwhile the others do its items,
    each up to MAX_TASK_RETRIES times more. An item that still loses its worker is tried once more on its own,
    because its neighbour in the queue may be the culprit; if that fails too, it ends as a Failure. Exceptions of
    the worker's own code are not retried. `label` is what Ray's dashboard calls each.
    """

    def __init__(
        self,
        worker_cls: Callable[..., Worker[Item, Result]],
        init_args: tuple[Any, ...] = (),
        *,
        num_workers: int,
        num_cpus: float = 1,
        num_gpus: float = 0,
        depth: int = 2,
        start_timeout_s: float = 600,
        label: str = "worker",
    ) -> None:
        for name, value in (("num_workers", num_workers), ("depth", depth)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        self._worker_cls, self._init_args, self._label = worker_cls, init_args, label
        self._num_workers, self._depth, self._start_timeout_s = num_workers, depth, start_timeout_s
        self._resources = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        self._actors: list[Any] = []
        self._starting: dict[Any, Any] = {}  # ready signal -> actor
        self._load: dict[Any, int] = {}  # ready actor -> items it holds
        self._since: dict[Any, float] = {}  # actor -> when it began what it is at
        self._slow = set[Any]()  # actors whose last item took more than SHORT_S
        self._stop = threading.Event()
        self._stop_at = 0.0  # when the grace is over, once stopped
        self._interrupt: KeyboardInterrupt | None = None
        self._without_since = 0.0  # when the last worker went, or the pool was opened
        self._memory = MemoryWatch()

    @property
    def num_workers(self) -> int:
        """Actors, started or not."""
        return self._num_workers

    def __enter__(self) -> Self:
        # No retries by Ray: it would keep the items of a lost node waiting for an actor that has no room.
        host = ray.remote(_Host).options(
            **self._resources, max_restarts=-1, max_task_retries=0, max_concurrency=1
        )
        made_of = (self._worker_cls, self._init_args, self._label)
        self._actors = [host.remote(*made_of) for _ in range(self._num_workers)]
        self._starting = {actor.ready.remote(): actor for actor in self._actors}
        self._without_since = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the actors at once, whatever they are doing. Published work is safe: shards appear whole."""
        actors, self._actors, self._starting, self._load = self._actors, [], {}, {}
        if ray.is_initialized():
            for actor in actors:
                ray.kill(actor)

    def stop(self, grace_s: float = 0.0) -> None:
        """From any thread: end `map` with PoolStopped. Nothing new is begun; items being worked on have `grace_s`
        seconds to finish and come out of `map` before it ends."""
        self._stop_at = time.monotonic() + grace_s
        self._stop.set()

    def map(
        self,
        items: Iterable[Item] | Source[Item],
        *,
        progress: Progress | None = None,
        raise_errors: bool = False,
    ) -> Iterator[Outcome[Item, Result]]:
        """Outcomes in the order they finish. `items` is read only as fast as the workers take them.

        With `raise_errors` the first failure is raised as ItemFailed. Leaving early closes the pool. Ctrl-C is
        a `stop` with INTERRUPT_GRACE_S, then KeyboardInterrupt.
        """
        source = Listed(items) if isinstance(items, Iterable) else items
        queue, calls, finished = Queue(source), dict[Any, Call[Item]](), 0
        complete = False
        try:
            while True:
                if not self._stop.is_set():
                    self._feed(queue, calls)
                    if queue.empty and not calls:
                        complete = True
                        return
                for ref in self._wait(calls):
                    call = calls.pop(ref)
                    outcome = _outcome(ref, call)
                    if isinstance(outcome, Call):
                        self._restarting(call.actor)
                        queue.give_back(outcome)
                        continue
                    if outcome.failure is not None and outcome.failure.lost_worker:
                        self._restarting(call.actor)
                    elif call.actor in self._load:
                        self._finished(call.actor)
                    finished += 1
                    if progress is not None:
                        progress(finished, outcome)
                    if outcome.failure is not None and raise_errors:
                        raise ItemFailed(call.item, outcome.failure)
                    yield outcome
        finally:
            if not complete:
                self.close()

    def _feed(self, queue: Queue[Item], calls: dict[Any, Call[Item]]) -> None:
        """Give each free place on a ready actor an item, the emptiest first; what must be alone comes last."""
        alone = {call.actor for call in calls.values() if call.alone}
        while ready := [actor for actor in self._load if actor not in alone and self._has_room(actor)]:
            actor = min(ready, key=self._load.__getitem__)
            if (found := queue.take()) is not None:
                self._submit(Call(actor, *found), calls)
            elif self._load[actor] == 0 and queue.alone:
                self._submit(Call(actor, *queue.alone.pop(), alone=True), calls)
                alone.add(actor)
            else:
                return

    def _has_room(self, actor: Any) -> bool:
        return self._load[actor] < (1 if self._starting or actor in self._slow else self._depth)

    def _submit(self, call: Call[Item], calls: dict[Any, Call[Item]]) -> None:
        ref = heard_meanwhile(lambda: call.actor.run.remote(call.item))
        calls[ref] = call
        if self._load[call.actor] == 0:
            self._since[call.actor] = time.monotonic()
        self._load[call.actor] += 1

    def _finished(self, actor: Any) -> None:
        """One of its items is done: it has a free place, and how long that took says how many it is to hold."""
        now = time.monotonic()
        took, self._since[actor] = now - self._since[actor], now
        (self._slow.add if took > SHORT_S else self._slow.discard)(actor)
        self._load[actor] -= 1

    def _restarting(self, actor: Any) -> None:
        """Give it nothing more until it is ready again: this signal waits for it, wherever it comes back."""
        if self._load.pop(actor, None) is not None:
            self._wait_for(actor)

    def _wait(self, calls: dict[Any, Call[Item]]) -> list[Any]:
        """Calls that finished within POLL_S; also takes in actors that have become ready."""
        if not self._actors:
            raise RuntimeError("pool must be open, got a closed one; use it inside its `with` block")
        if self._stop.is_set():
            _only_running(calls)
            if not calls or time.monotonic() >= self._stop_at:
                raise self._interrupt or PoolStopped("stopped before all was done; what was published stays")
        ready = self._poll([*calls, *self._starting])
        for ref in [ref for ref in ready if ref in self._starting]:
            self._take_in(ref)
        if self._load:
            self._without_since = time.monotonic()
        self._check_wait(time.monotonic() - self._without_since)
        return [ref for ref in ready if ref in calls]

    def _check_wait(self, waited_s: float) -> None:
        """Raise RuntimeError where none may come any more, after so long without a worker."""
        if said := self._memory.look(waited_s):
            raise RuntimeError(f"a worker must find memory, but Ray killed each: {said}; {MEMORY_REMEDY}")
        if waited_s > NODES_S and not any(node["Alive"] for node in ray.nodes()):
            raise RuntimeError("a Ray node must be alive, got none: start the same run again to resume it")
        if waited_s > self._start_timeout_s:
            raise RuntimeError(
                f"a worker with {self._resources} must start within {self._start_timeout_s:g} s, "
                "got none; ask for less per worker or add nodes to the Ray cluster"
            )

    def _poll(self, pending: list[Any]) -> list[Any]:
        """What is ready now, or becomes so within POLL_S; Ctrl-C, the first time, is a stop with some grace."""
        try:
            return heard_meanwhile(lambda: _ready(pending))
        except KeyboardInterrupt as interrupt:
            if self._interrupt is not None:
                raise
            self._interrupt = interrupt
            self.stop(INTERRUPT_GRACE_S)
            return []

    def _take_in(self, ref: Any) -> None:
        """An actor whose worker is built is given work from now on; one that died meanwhile is waited for again."""
        actor = self._starting.pop(ref)
        try:
            heard_meanwhile(lambda: ray.get(ref))
        except RayTaskError as error:
            cause = _cause(error)
            raise WorkerNotBuilt(f"worker could not be built: {type(cause).__name__}: {cause}") from cause
        except RayError:
            heard_meanwhile(lambda: time.sleep(POLL_S))  # where its node is gone, each try fails at once
            self._wait_for(actor)
        else:
            self._load[actor] = 0

    def _wait_for(self, actor: Any) -> None:
        self._starting[actor.ready.options(max_task_retries=-1).remote()] = actor


def _ready(pending: list[Any]) -> list[Any]:
    if not pending:
        time.sleep(POLL_S)
        return []
    ready, _ = ray.wait(pending, num_returns=len(pending), timeout=0)
    return ready or ray.wait(pending, num_returns=1, timeout=POLL_S)[0]


def _only_running(calls: dict[Any, Call[Any]]) -> None:
    """Forget what an actor has not begun: of its calls, all but the one submitted first."""
    actors = set()
    for ref, call in list(calls.items()):
        if call.actor in actors:
            del calls[ref]
        actors.add(call.actor)


def _outcome(ref: Any, call: Call[Item]) -> Outcome[Item, Any] | Call[Item]:
    """What became of a finished call; one to make again where its worker died and the item deserves another try."""
    try:
        return Outcome(item=call.item, result=heard_meanwhile(lambda: ray.get(ref)))
    except RayError as error:
        lost = not isinstance(error, RayTaskError)
        announced = isinstance(error, ActorDiedError) and error.preempted  # it went with a drained node
        if announced or (lost and not call.alone):
            return replace(call, deaths=call.deaths + (not announced))
        cause = _cause(error)
        details = _COLOUR.sub("", str(error))
        message = f"{cause}; where memory ran out, {MEMORY_REMEDY}" if lost else str(cause)
        failure = Failure(kind=type(cause).__name__, message=message, details=details, lost_worker=lost)
        return Outcome(item=call.item, failure=failure)


def _cause(error: RayError) -> Exception:
    """The exception the worker raised, out of Ray's wrapping; Ray's own where the worker died."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error
