"""The pool finishes every item, ties each result to its item, survives kills and reports errors."""

import os
import platform
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.candidates.teacher import generate_shard, teacher_spec
from workers.pool import ItemFailed, Pool, PoolStopped

pytestmark = pytest.mark.usefixtures("local_ray")


def worker_of(run: Callable[[Any], Any]) -> Callable[[], Any]:
    """A worker class with this `run`, made here so that it travels to the actors by value."""

    class Worker:
        def run(self, item: Any) -> Any:
            return run(item)

    return Worker


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text()


def test_every_item_comes_back_once_with_its_own_result() -> None:
    seen: list[int] = []
    with Pool(worker_of(lambda i: i * i), num_workers=2) as pool:
        outcomes = list(pool.map(range(12), progress=lambda done, _: seen.append(done)))
        again = list(pool.map([], progress=lambda done, _: seen.append(done)))
    assert sorted((o.item, o.result) for o in outcomes) == [(i, i * i) for i in range(12)]
    assert seen == list(range(1, 13))
    assert again == []


def test_a_worker_is_built_once_per_actor_with_one_torch_thread() -> None:
    class Worker:
        def __init__(self, offset: int) -> None:
            self.offset, self.built = offset, os.getpid()

        def run(self, item: int) -> tuple[int, bool, int]:
            return self.offset + item, self.built == os.getpid(), torch.get_num_threads()

    with Pool(Worker, (100,), num_workers=1) as pool:
        assert [o.result for o in pool.map([1, 2])] == [(101, True, 1), (102, True, 1)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator's settings are glibc's")
def test_a_worker_draws_without_faulting_in_again_the_memory_that_it_freed() -> None:
    class Worker:
        def __init__(self) -> None:
            self.backbone = load_backbone("countdown")
            self.spec = teacher_spec(
                self.backbone, method="first_hitting", steps=None, batch=64, shard_rows=64, seed=0
            )

        def run(self, item: int) -> int:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            generate_shard(self.backbone, self.spec, item, "cpu")
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with Pool(Worker, num_workers=1) as pool:
        _, pages = pool.map([0, 1], raise_errors=True)
    assert pages.result is not None
    assert pages.result < 10_000  # glibc by itself: hundreds of thousands


def test_the_item_of_a_killed_actor_is_run_again(tmp_path: Path) -> None:
    first = tmp_path / "first"

    def die_once(item: int) -> int:
        if item == 2 and not first.exists():
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return -item

    with Pool(worker_of(die_once), num_workers=1) as pool:
        assert sorted((o.item, o.result) for o in pool.map(range(5))) == [(i, -i) for i in range(5)]
    assert first.exists()


def test_an_item_that_always_kills_its_worker_fails_without_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # so that this takes four deaths and not eighteen
    monkeypatch.setattr("workers.items.MAX_TASK_RETRIES", 1)

    def die(item: int) -> int:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with Pool(worker_of(die), num_workers=1, depth=3) as pool:
        outcomes = {o.item: o for o in pool.map(range(4))}
    assert [i for i, o in outcomes.items() if not o.ok] == [1]
    assert "Actor" in outcomes[1].failure.kind  # type: ignore[union-attr]
    assert sorted(outcomes) == [0, 1, 2, 3]


def test_an_error_in_the_work_is_reported_with_its_item_and_not_retried(tmp_path: Path) -> None:
    def fail(item: int) -> int:
        if item == 1:
            with (tmp_path / "tries").open("a") as file:
                file.write("x")
            raise KeyError("no such token")
        return item

    with Pool(worker_of(fail), num_workers=1) as pool:
        failed = [o for o in pool.map(range(3)) if not o.ok]
    assert [o.item for o in failed] == [1]
    assert failed[0].failure is not None
    assert failed[0].failure.kind == "KeyError"
    assert "no such token" in failed[0].failure.message
    assert __file__ in failed[0].failure.details
    assert "\x1b" not in failed[0].failure.details
    assert (tmp_path / "tries").read_text() == "x"


def test_an_error_is_raised_by_choice_and_stops_the_actors() -> None:
    def fail(item: int) -> int:
        if item == 1:
            raise ValueError("bad shard")
        return os.getpid()

    with Pool(worker_of(fail), num_workers=1) as pool:
        outcomes = pool.map(range(3), raise_errors=True)
        pid = next(outcomes).result
        assert isinstance(pid, int)
        assert alive(pid)
        with pytest.raises(ItemFailed, match=r"^1 failed: ValueError: bad shard$"):
            next(outcomes)
        deadline = time.monotonic() + 10
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(pid)


def test_no_more_than_depth_items_per_worker_are_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(12):
            taken += 1
            yield i

    ahead: list[int] = []
    with Pool(worker_of(lambda i: i), num_workers=1, depth=3) as pool:
        for finished, _ in enumerate(pool.map(items()), start=1):
            ahead.append(taken - finished)
    assert max(ahead) == 3 - 1
    assert taken == 12


def test_a_worker_goes_on_while_the_driver_is_busy_elsewhere(tmp_path: Path) -> None:
    def mark(item: int) -> int:
        (tmp_path / str(item)).touch()
        return item

    with Pool(worker_of(mark), num_workers=1, depth=2) as pool:
        outcomes = pool.map(range(9))
        assert next(outcomes).item == 0
        deadline = time.monotonic() + 60
        while (
            not (tmp_path / "1").exists() and time.monotonic() < deadline
        ):  # nobody asks for the next outcome
            time.sleep(0.01)
        assert (tmp_path / "1").exists()
        assert not (tmp_path / "2").exists()  # and no more than depth is under way
        outcomes.close()


def test_a_worker_that_cannot_be_built_is_one_clear_error() -> None:
    class Worker:
        def __init__(self) -> None:
            raise OSError("weights are missing")

        def run(self, item: int) -> int:
            return item

    with (
        Pool(Worker, num_workers=1) as pool,
        pytest.raises(RuntimeError, match="OSError: weights are missing"),
    ):
        list(pool.map([1]))


def test_stop_from_another_thread_ends_a_pool_stuck_in_long_work() -> None:
    with Pool(worker_of(lambda _: time.sleep(600)), num_workers=1) as pool:
        threading.Timer(1.0, pool.stop).start()
        started = time.monotonic()
        with pytest.raises(PoolStopped):
            list(pool.map([1, 2]))
        assert time.monotonic() - started < 15
        with pytest.raises(RuntimeError, match="closed"):
            list(pool.map([1]))


def collect(pool: Pool[int, int], finished: list[int], when_busy: Callable[[], None], mark: Path) -> None:
    """Take outcomes until the pool ends; `when_busy` is called while item 1 is being worked on.

    And once the driver waits for it, having taken item 0: an interrupt in the test's own code is not the pool's.
    """

    def watch() -> None:
        while not mark.exists() or not finished:
            time.sleep(0.01)
        time.sleep(0.2)
        when_busy()

    threading.Thread(target=watch, daemon=True).start()
    for outcome in pool.map(range(6)):
        finished.append(outcome.item)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Sends this process SIGINT, which a job in the background would ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("how", ["stop", "ctrl-c"])
def test_what_is_being_worked_on_may_finish_and_nothing_new_is_begun(
    how: str, ctrl_c: Callable[[], None], tmp_path: Path
) -> None:
    def slow(item: int) -> int:
        (tmp_path / str(item)).touch()
        time.sleep(2 if item else 0)
        return item

    finished: list[int] = []
    with Pool(worker_of(slow), num_workers=1, depth=3) as pool:
        end = ctrl_c if how == "ctrl-c" else lambda: pool.stop(grace_s=60)
        with pytest.raises(KeyboardInterrupt if how == "ctrl-c" else PoolStopped):
            collect(pool, finished, end, tmp_path / "1")
    assert finished == [0, 1]  # 2 was queued behind it
    assert not (tmp_path / "3").exists()


def test_closing_frees_the_cores() -> None:
    with Pool(worker_of(lambda i: i), num_workers=2) as pool:
        list(pool.map([1]))
    deadline = time.monotonic() + 10
    while ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2


@pytest.mark.parametrize("field", ["num_workers", "depth"])
def test_sizes_must_be_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be >= 1, got 0"):
        Pool(worker_of(lambda i: i), **({"num_workers": 1} | {field: 0}))
