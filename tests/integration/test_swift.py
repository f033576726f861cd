"""The S3 server that the other tests stand on: it starts, keeps what it is given, checks keys, and ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.stack.packages import StackError, installed
from infra.stack.processes import Process
from infra.stack.swift import Swift, start_swift, stop_swift
from lsd_core.errors import InputError
from lsd_core.storage.store import Store

pytestmark = pytest.mark.servers


def alive(pid: int) -> bool:
    try:
        return b"swift" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_it_keeps_what_it_is_given_over_a_restart_and_leaves_no_process(
    swift: Swift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_swift(tmp_path / "data") as first:
        _use(first, monkeypatch)
        Store(first.make_bucket("kept")).write_bytes("a/b", b"bytes")
        assert all(alive(pid) for pid in first.pids)
    assert not any(alive(pid) for pid in first.pids)
    with start_swift(tmp_path / "data") as second:
        assert second.secret_key != first.secret_key
        _use(second, monkeypatch)
        assert Store(second.make_bucket("kept")).read_bytes("a/b") == b"bytes"
    assert not any(alive(pid) for pid in second.pids)


def test_a_start_ends_what_an_earlier_one_left_running(swift: Swift, tmp_path: Path) -> None:
    left = start_swift(tmp_path)
    with start_swift(tmp_path) as server:
        assert not any(alive(pid) for pid in left.pids)
        assert all(alive(pid) for pid in server.pids)


def test_only_processes_of_the_folder_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "swift-proxy.json"
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleep, start_new_session=True) as other:
        try:
            own = Process.of(other.pid)
            assert own is not None
            Process(other.pid, born=own.born - 1).write(file)  # an earlier process had its number
            stop_swift(tmp_path)
            assert own.alive
            assert not file.exists()
            own.write(file)
            stop_swift(tmp_path)
            assert not own.alive
        finally:
            other.kill()


def test_a_taken_port_is_one_line(swift: Swift, tmp_path: Path) -> None:
    taken = int(swift.url.rpartition(":")[2])
    with pytest.raises(StackError, match=f"port {taken} is taken"):
        start_swift(tmp_path, port=taken)


def test_what_cannot_be_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{tmp_path}/nothing-here.whl\n")
    with pytest.raises(StackError, match="nothing could not be installed: ERROR"):
        installed("nothing", requirements)


def test_the_secret_is_not_shown(swift: Swift) -> None:
    assert swift.secret_key not in repr(swift)


def test_a_bad_key_is_one_line_that_names_the_variables(
    swift_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(swift_bucket).check()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(InputError, match="signature") as refused:
        Store(swift_bucket).check()
    line = str(refused.value)
    assert "\n" not in line
    assert "AWS_SECRET_ACCESS_KEY" in line
    assert "guessed" not in line


def _use(server: Swift, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
