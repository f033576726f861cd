"""A server is started once, waited for, and stopped with all that it started; nobody else's process is."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from infra.stack.facts import Facts, free_port
from infra.stack.packages import StackError
from infra.stack.processes import Process
from infra.stack.server import Keeper, Server

# It starts a child in a session of its own, as Prefect's worker does, and says when it is ready.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


def server(code: str) -> Server:
    return Server(name="one", command=[sys.executable, "-c", code], healthy="ready")


def test_what_a_server_started_ends_with_it(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.start(server(PARENT))
    first = keeper.process("one")
    assert first is not None
    family = first.family()
    assert len(family) == 2
    keeper.start(server(PARENT))
    assert keeper.process("one") == first  # it runs already
    keeper.stop("one")
    assert not any(member.alive for member in family)
    assert keeper.process("one") is None


def test_work_that_is_asked_first_ends_while_its_server_lives(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    reports = f"""
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "the-work"])
def ended(number, frame):
    open({str(seen)!r}, "w").write(str(child.poll()))
    sys.exit()
signal.signal(signal.SIGTERM, ended)
print("ready", flush=True)
time.sleep(600)
"""
    keeper = Keeper(tmp_path)
    keeper.start(server(reports))
    keeper.stop("one", first="the-work")
    assert seen.read_text() == str(-signal.SIGTERM)


def test_a_killed_server_is_started_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.start(server(PARENT))
    first = keeper.process("one")
    keeper.kill("one")
    assert keeper.process("one") is None
    keeper.start(server(PARENT))
    assert keeper.process("one") not in (None, first)
    keeper.stop("one")


def test_a_server_that_ends_or_is_not_healthy_is_one_line_with_its_last_words(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    with pytest.raises(StackError, match="one ended: no room left"):
        keeper.start(server("print('no room left')"))
    with pytest.raises(StackError, match=r"one is not healthy after 1 s: thinking"):
        keeper.start(server("import time; print('thinking', flush=True); time.sleep(600)"), wait_s=1)
    assert keeper.process("one") is None


def test_a_number_that_is_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    mine = Process.of(os.getpid())
    assert mine is not None
    file = tmp_path / "run" / "one.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"pid": mine.pid, "born": mine.born - 1}))
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        Keeper(tmp_path).stop("one")
        time.sleep(0.1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not heard


def test_facts_are_made_once_and_are_private(tmp_path: Path) -> None:
    first = Facts.of(tmp_path, usual_ports=False)
    assert Facts.of(tmp_path) == first
    assert (tmp_path / "facts.json").stat().st_mode & 0o777 == 0o600
    assert len(set(first.ports.values())) == len(first.ports)
    assert len(set(first.secrets.values())) == len(first.secrets)


def test_a_taken_port_is_passed_over() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = taken.getsockname()[1]
        assert free_port(usual) != usual
    assert free_port(usual) == usual
