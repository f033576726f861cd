"""Building the embedded registry touches its own files alone, whatever the database is called."""

import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from lsd_core.registry import database


def tables(file: Path, *names: str) -> None:
    """A database with these tables, all of them empty."""
    with closing(sqlite3.connect(file)) as connection:
        for name in names:
            connection.execute(f"CREATE TABLE {name} (value INTEGER)")
        connection.commit()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is whole, without MLflow's fifty migrations."""

    def build(file: Path) -> None:
        tables(file, "experiments", "runs", "alembic_version")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("INSERT INTO experiments VALUES (0)")
            connection.commit()

    monkeypatch.setattr(database, "_build", build)


@pytest.mark.parametrize("name", ["mlflow.db", "*", "[.a-z]*", "?otes"])
def test_only_what_a_killed_build_left_is_removed(name: str, tmp_path: Path) -> None:
    mine = [".notes-1", ".mlflow.db-before", f".{name}-before", f".notes-{uuid.uuid4().hex}"]
    left = [f".{name}-{uuid.uuid4().hex}", f".{name}-{uuid.uuid4().hex}-journal"]
    for each in (*mine, *left):
        (tmp_path / each).write_text("the only copy")
    database.ensure_database(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, f"{name}.lock", *mine})


def test_a_lock_file_that_was_there_keeps_its_content(tmp_path: Path) -> None:
    lock = tmp_path / "poetry.lock"
    lock.write_text("the only copy")
    database.ensure_database(tmp_path / "poetry")
    assert lock.read_text() == "the only copy"


@pytest.mark.parametrize("names", [("places",), ("experiments", "samples"), ("alembic_version", "users")])
def test_a_database_of_another_program_stays_where_it_is(names: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    tables(file, *names)
    before = file.read_bytes(), os.stat(file).st_ino
    database.ensure_database(file)
    assert (file.read_bytes(), os.stat(file).st_ino) == before
    assert not (tmp_path / "notes.db.unfinished").exists()


@pytest.mark.parametrize(
    "names", [(), ("experiments", "runs"), ("runs", "alembic_version", "_alembic_tmp_experiments")]
)
def test_a_build_that_was_cut_off_is_built_anew(names: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    tables(file, *names)
    os.utime(file, (0, 0))
    database.ensure_database(file)
    assert not database._is_unfinished(file)
    assert (tmp_path / "mlflow.db.unfinished").exists()


def test_a_file_that_somebody_builds_right_now_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, waited = tmp_path / "mlflow.db", list[float]()
    tables(file, "experiments")

    def go_on(seconds: float) -> None:  # what the other program does meanwhile
        waited.append(seconds)
        tables(file, *(["runs"] if len(waited) == 1 else ["alembic_version"]))
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("INSERT INTO experiments VALUES (0)" if len(waited) == 2 else "SELECT 1")
            connection.commit()

    monkeypatch.setattr("time.sleep", go_on)
    inode = file.stat().st_ino
    database.ensure_database(file)
    assert len(waited) == 2
    assert file.stat().st_ino == inode
    assert not (tmp_path / "mlflow.db.unfinished").exists()


@pytest.mark.parametrize("missing", [True, False])
def test_a_registry_with_runs_is_never_put_aside(missing: bool, tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    tables(file, "runs", "alembic_version", *(() if missing else ("experiments",)))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO runs VALUES (7)")
        connection.commit()
    os.utime(file, (0, 0))
    database.ensure_database(file)
    assert not (tmp_path / "mlflow.db.unfinished").exists()
