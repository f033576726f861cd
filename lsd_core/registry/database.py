"""The embedded registry's sqlite file: built beside its place under a lock, then renamed, so it is whole or absent.

MLflow builds its tables in place, by some fifty migrations. A process that is killed meanwhile leaves a file that no
MLflow opens again, and processes that meet an empty place at once disturb each other.
"""

import fcntl
import logging
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from lsd_core.errors import InputError

FIRST = {"experiments", "runs", "tags", "metrics", "params"}  # tables that MLflow makes before its migrations
STILL_S = 30  # a file that MLflow builds in its place, such as for `mlflow ui`, changes more often than that
PATIENCE_S = 300  # a build takes seconds; a lock that is held longer belongs to a process that hangs


def ensure_database(file: Path) -> None:
    """Build the database if there is none; one whose building was cut off is put aside first."""
    if file.exists() and _checked_once(file, file.stat().st_ino):
        return
    with _locked(file.with_name(f"{file.name}.lock")):
        while file.exists():
            if not _is_unfinished(file):
                return
            if time.time() - file.stat().st_mtime < STILL_S:
                time.sleep(0.5)  # somebody may be building it
                continue
            os.replace(file, file.with_name(f"{file.name}.unfinished"))
        for left in file.parent.iterdir():  # of builders that were killed, since we hold the lock
            if re.fullmatch(rf"\.{re.escape(file.name)}-[0-9a-f]{{32}}(-journal|-wal|-shm)?", left.name):
                left.unlink(missing_ok=True)
        scratch = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
        _build(scratch)
        os.replace(scratch, file)


@cache
def _checked_once(file: Path, inode: int) -> bool:
    """Whether the file with this inode is whole: it stays so, since it only ever gains."""
    return not _is_unfinished(file)


def _is_unfinished(file: Path) -> bool:
    """Whether a database lacks what MLflow adds last, its default experiment, and has no run: then nothing was ever
    logged in it. (A migration of a later MLflow may be at work on the table of experiments.)

    What is no database at all or another program's is left for MLflow to complain about, and one that is busy counts
    as whole.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in found if not name.startswith("sqlite_")}
            if not (tables <= FIRST or {"alembic_version", "runs"} <= tables):
                return False
            filled = (f"SELECT 1 FROM {name} LIMIT 1" for name in ("experiments", "runs") if name in tables)
            return all(connection.execute(query).fetchone() is None for query in filled)
    except sqlite3.DatabaseError:
        return False


def _build(file: Path) -> None:
    """Have MLflow make its tables and its default experiment."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{file}"
    migrations = logging.getLogger("alembic")
    level = migrations.level
    migrations.setLevel(logging.WARNING)  # else a line for each of them
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    finally:
        migrations.setLevel(level)


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold a lock file; the system gives it free when its holder ends, however that happens."""
    deadline = time.monotonic() + PATIENCE_S
    with lock.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    remedy = "end the process that holds it, or name another registry"
                    raise InputError("registry", "be free within minutes", f"a held {lock}", remedy) from None
                time.sleep(0.1)
        yield
