"""Pieces of work on one pool: in which order jobs go, what is tried again, and how each piece ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from flows.pipeline import scheduler
from flows.pipeline.progress import LogProgress
from flows.pipeline.scheduler import CutOff, Piece, Scheduler, Steps
from lsd_core.errors import Unreachable
from workers.jobs import ShardJob
from workers.pool import Failure, Outcome, Source, WorkerNotBuilt


def job(number: int) -> ShardJob:
    return ShardJob(teacher=None, shard=number)  # type: ignore[arg-type]


class Pool:
    """`places` jobs at a time, each done when no other place is free: the oldest first."""

    def __init__(self, do: Callable[[int], Outcome[Any, Any]], places: int) -> None:
        self.do, self.places = do, places
        self.done: list[int] = []

    def map(self, source: Source[Any]) -> Iterator[Outcome[Any, Any]]:
        held: list[Any] = []
        while not source.closed:
            while len(held) < self.places and (taken := source.take()) is not None:
                held.append(taken)
            if held:
                first = held.pop(0)
                self.done.append(first.shard)
                yield replace(self.do(first.shard), item=first)


def well(number: int) -> Outcome[Any, Any]:
    return Outcome(item=None, result=10 * number)


def worked(pieces: list[Piece], do: Callable[[int], Outcome[Any, Any]] = well, places: int = 1) -> Pool:
    """The pool that the pieces were worked through on."""
    pool = Pool(do, places)

    @contextmanager
    def opened() -> Iterator[Any]:
        yield pool

    Scheduler(pieces, LogProgress(lambda line: None)).run(opened)
    return pool


def steps(*batches: list[int]) -> Callable[[], Steps]:
    """Asks for these jobs, batch after batch, and returns all results."""

    def begin() -> Steps:
        results: list[Any] = []
        for batch in batches:
            outcomes = yield [job(number) for number in batch]
            results += [outcome.result for outcome in outcomes]
        return results

    return begin


def test_the_first_piece_goes_first_and_the_next_fill_what_it_leaves_free() -> None:
    pieces = [Piece("big", steps([1, 2], [3])), Piece("small", steps([4], [5]))]
    assert worked(pieces).done == [1, 2, 3, 4, 5]
    assert [piece.future.result() for piece in pieces] == [[10, 20, 30], [40, 50]]
    pieces = [Piece("big", steps([1, 2], [3])), Piece("small", steps([4], [5]))]
    assert worked(pieces, places=3).done == [1, 2, 4, 3, 5]  # the third place was free before 3 was asked for


def test_a_piece_waits_for_those_before_it_even_where_they_fail() -> None:
    def fails() -> Steps:
        yield [job(1)]
        raise ValueError("bad")

    first = Piece("first", fails)
    second = Piece("second", steps([2]), after=(first,))
    third = Piece("third", steps([3]))
    assert worked([first, second, third], places=2).done == [1, 3, 2]
    assert isinstance(first.error, ValueError)
    assert second.future.result() == [20]


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "DELAYS_S", (0.0, 0.0))
    tried: list[int] = []

    def do(number: int) -> Outcome[Any, Any]:
        tried.append(number)
        kind = {1: "Unreachable", 2: "ValueError"}.get(number)
        passed = kind is None or (number == 1 and tried.count(1) == 3)
        failure = None if passed else Failure(kind=str(kind), message="no", details="")
        return Outcome(item=None, result=None if failure else number, failure=failure)

    def outcomes() -> Steps:
        return (yield [job(1), job(2), job(3)])

    piece = Piece("cell", outcomes)
    worked([piece], do)
    assert sorted(tried) == [1, 1, 1, 2, 3]
    found = piece.future.result()
    assert [outcome.result for outcome in found] == [1, None, 3]
    assert found[1].failure.kind == "ValueError"


def test_code_between_jobs_is_tried_again_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "DELAYS_S", (0.0, 0.0))
    tries = [Unreachable("store", "answer", "s3://x"), None]

    def away_once() -> Steps:
        yield [job(1)]
        if (error := tries.pop(0)) is not None:
            raise error
        return "done"

    piece = Piece("cell", away_once)
    assert worked([piece]).done == [1, 1]
    assert piece.future.result() == "done"

    def away() -> Steps:
        yield [job(1)]
        raise Unreachable("store", "answer", "s3://x")

    piece = Piece("cell", away)
    assert worked([piece]).done == [1, 1, 1]
    assert isinstance(piece.error, Unreachable)


def test_a_pool_that_cannot_be_had_is_asked_for_again_with_the_jobs_it_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduler, "DELAYS_S", (0.0, 0.0))
    pools = iter(["breaks", "works"])

    @contextmanager
    def opened() -> Iterator[Any]:
        breaks = next(pools) == "breaks"

        def do(number: int) -> Outcome[Any, Any]:
            if breaks and number == 2:
                raise WorkerNotBuilt("no weights") from Unreachable("store", "answer", "s3://x")
            return well(number)

        yield Pool(do, 2)

    piece = Piece("cell", steps([1, 2, 3]))
    Scheduler([piece], LogProgress(lambda line: None)).run(opened)
    assert piece.future.result() == [10, 20, 30]


def test_a_run_that_is_cut_off_says_so_to_every_piece() -> None:
    def interrupted(number: int) -> Outcome[Any, Any]:
        if number == 2:
            raise KeyboardInterrupt
        return well(number)

    pieces = [Piece("done", steps([1])), Piece("under way", steps([2])), Piece("waits", steps([3]))]
    with pytest.raises(KeyboardInterrupt):
        worked(pieces, interrupted)
    assert pieces[0].future.result() == [10]
    assert [type(piece.error) for piece in pieces[1:]] == [CutOff, CutOff]
