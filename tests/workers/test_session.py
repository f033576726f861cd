"""Who opens Ray closes it, and what travels to workers holds no secret."""

import re
import signal
import subprocess
import sys
import textwrap

import pytest
import ray

from workers.session import LOCAL, WORKER_ENV, ray_address, ray_session, workers_for


def test_address_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray_address() == LOCAL
    monkeypatch.setenv("RAY_ADDRESS", "tool:1")
    assert ray_address() == "tool:1"
    monkeypatch.setenv("LSD_RAY_ADDRESS", "ours:1")
    assert ray_address() == "ours:1"
    assert ray_address("given:1") == "given:1"


@pytest.mark.usefixtures("local_ray")
def test_an_open_session_is_used_and_left_open() -> None:
    with ray_session(LOCAL):
        pass
    assert ray.is_initialized()


@pytest.mark.usefixtures("local_ray")
def test_the_runtime_env_carries_threads_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray.get_runtime_context().runtime_env["env_vars"] == WORKER_ENV
    assert all(name.endswith("_NUM_THREADS") for name in WORKER_ENV)


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(
    ("num_items", "num_cpus", "expected"), [(1, 1, 1), (5, 1, 2), (5, 2, 1), (5, 8, 1), (3, 0, 3), (0, 1, 1)]
)
def test_workers_are_no_more_than_items_or_room(num_items: int, num_cpus: float, expected: int) -> None:
    assert workers_for(num_items, num_cpus=num_cpus) == expected


def test_a_node_that_was_slow_to_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers import session

    tries: list[dict[str, object]] = []

    def slow(**options: object) -> None:
        tries.append(options)
        if len(tries) < 3:
            raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.setattr(session.ray, "init", slow)
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    session._start({"address": "local"})
    assert len(tries) == 3

    def broken(**options: object) -> None:
        tries.append(options)
        raise Exception("wrong password")

    monkeypatch.setattr(session.ray, "init", broken)
    with pytest.raises(Exception, match="wrong password"):
        session._start({"address": "local"})
    assert len(tries) == 4


def test_whoever_handles_sigterm_before_ray_starts_does_so_after(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers import session

    def takes_over(**options: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def ours(number: int, frame: object) -> None:
        """What a flow's engine installs."""

    monkeypatch.setattr(session.ray, "init", takes_over)
    before = signal.signal(signal.SIGTERM, ours)
    try:
        session._start({"address": "local"})
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_driver_hears_what_workers_tell_and_nothing_else() -> None:
    script = textwrap.dedent(
        """
        import time, ray
        from workers.session import ray_session
        from workers.telling import tell

        def work():
            print("a library's chatter")
            tell("one shard done")

        heard = []
        with ray_session("local", num_cpus=1, hear=heard.append):
            ray.get(ray.remote(work).remote())
            deadline = time.monotonic() + 30
            while not heard and time.monotonic() < deadline:
                time.sleep(0.1)
        print(heard)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True
    )
    assert re.fullmatch(r"\['\[[\d.]+ \d+\] one shard done'\]\n", done.stdout), done.stdout + done.stderr
