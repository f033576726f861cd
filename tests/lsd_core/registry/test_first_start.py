"""The embedded registry comes to be whole or not at all, whoever meets it first and whatever ends them."""

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.errors import InputError

# Processes with MLflow imported, so that they do meet, and without the threads of this one, which a fork would cut off.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["mlflow", "lsd_core.registry"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that MLflow made, with nothing logged in it."""
    file = tmp_path_factory.mktemp("whole") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}").search_experiments()
    return file


def execute(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.slow
def test_five_first_users_all_end_well(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'a home' / 'mlflow.db'}"
    users = [FORKED.Process(target=registry.check, args=(uri,)) for _ in range(5)]
    for user in users:
        user.start()
    for user in users:
        user.join(280)
    assert [user.exitcode for user in users] == [0] * 5
    assert sorted(path.name for path in (tmp_path / "a home").iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    assert len(MlflowClient(uri, uri).search_experiments()) == 1


@pytest.mark.slow
def test_a_first_user_that_is_killed_at_any_moment_leaves_a_registry_that_works(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    lock = tmp_path / "mlflow.db.lock"
    for delay_s in (0.0, 0.2, 0.5, 1.0, 2.0, 4.0):
        user = FORKED.Process(target=registry.check, args=(f"sqlite:///{file}",))
        user.start()
        deadline = time.monotonic() + 60
        while not lock.exists() and time.monotonic() < deadline:
            time.sleep(0.01)  # until it begins to build
        time.sleep(delay_s)
        user.kill()
        user.join(60)
        lock.unlink(missing_ok=True)
    registry.check(f"sqlite:///{file}")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("way", ["empty", "no tables", "old revision"])
@pytest.mark.slow
def test_a_half_built_database_is_put_aside_and_built_anew(way: str, whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(whole, file)
    if way == "empty":
        file.write_bytes(b"")
    elif way == "no tables":
        execute(file, "DROP TABLE experiments")
    else:
        execute(file, "DELETE FROM experiments", "UPDATE alembic_version SET version_num = '451aebb31d03'")
    os.utime(file, (0, 0))
    registry.check(f"sqlite:///{file}")
    assert len(MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}").search_experiments()) == 1
    assert (tmp_path / "mlflow.db.unfinished").exists()


@pytest.mark.parametrize("revision", ["451aebb31d03", "ffffffffffff"])
def test_a_database_of_another_mlflow_is_left_alone_and_the_line_says_what_to_do(
    revision: str, whole: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(whole, file)
    execute(file, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = file.read_bytes()
    with pytest.raises(InputError) as caught:
        registry.check(f"sqlite:///{file}")
    assert "mlflow db upgrade sqlite:///" in str(caught.value)
    assert "start the server" not in str(caught.value)
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"my notes, not a database\n" * 100)
    with pytest.raises(InputError, match=r"mlflow\.db"):
        registry.check(f"sqlite:///{file}")
    assert file.read_bytes() == b"my notes, not a database\n" * 100


@pytest.mark.slow
def test_a_registry_that_is_removed_under_a_program_is_built_anew_and_can_be_written(whole: Path) -> None:
    code = """
import os, sys
from lsd_core.registry.connect import connect
uri = f"sqlite:///{sys.argv[1]}"
connect(uri).create_experiment("before")
os.unlink(sys.argv[1])
print(connect(uri).create_experiment("after"), *sorted(each.name for each in connect(uri).search_experiments()))
"""
    file = whole.with_name("removed.db")
    shutil.copy(whole, file)
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["Default", "after"]
