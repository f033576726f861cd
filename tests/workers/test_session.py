"""Who opens Ray closes it, and what travels to workers holds no secret."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

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
def test_workers_have_the_priority_of_whoever_opens_ray() -> None:
    assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)


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


@pytest.mark.slow
def test_the_driver_hears_what_workers_tell_and_nothing_else() -> None:
    script = textwrap.dedent(
        """
        import time, ray
        from workers.session import ray_session
        from workers.messages import send

        def work():
            print("a library's chatter")
            send("one shard done")

        heard = []
        with ray_session("local", num_cpus=1, hear=heard.append):
            ray.get(ray.remote(work).remote())
            deadline = time.monotonic() + 30
            while not heard and time.monotonic() < deadline:
                time.sleep(0.1)
        print([str(told) for told in heard])
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True
    )
    assert re.fullmatch(r"\['\[[\d.]+ \d+\] one shard done'\]\n", done.stdout), done.stdout + done.stderr


LISTENING = """
import contextlib, json, os
from flows.settings import resolve
resolve(command_line={"home": HOME}).apply()
from tests.integration.driving import descendants
from workers.session import ray_session

def sockets(pid):
    found = set()
    with contextlib.suppress(FileNotFoundError):  # it has ended
        for handle in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # it has been closed
                found.add(os.readlink(f"/proc/{pid}/fd/{handle}").removeprefix("socket:[").removesuffix("]"))
    return found

with ray_session("local", num_cpus=1):
    import ray
    ray.get(ray.remote(lambda: 1).remote())
    ours = set().union(*map(sockets, [os.getpid(), *descendants(os.getpid())]))
    rows = [row.split() for name in ("tcp", "tcp6") for row in open(f"/proc/net/{name}").readlines()[1:]]
    print(json.dumps([row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in ours]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_a_ray_of_our_own_listens_on_the_loopback_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTENING.replace("HOME", repr(str(tmp_path / "home")))],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    addresses = json.loads(done.stdout.splitlines()[-1])
    assert len(addresses) >= 4  # the books, the node, its agent, the driver
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, also as IPv6 says it
    assert set(addresses) <= loopback
