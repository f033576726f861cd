"""PostgreSQL for MLflow's and Prefect's records, where its programs are found; else each has an SQLite file.

It refuses to run as root, so root starts it as the user `postgres` or `nobody`.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from infra.stack.facts import LOOPBACK, Facts, write_private
from infra.stack.packages import StackError, clean_environment
from infra.stack.server import Server

USER = "lsd"
DATABASES = ("mlflow", "prefect")
_PROGRAMS = ("initdb", "postgres")
_UNPRIVILEGED = ("postgres", "nobody")


def find_programs() -> Path | None:
    """The folder that holds PostgreSQL's programs, newest release first; None where it is not installed."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    on_path = shutil.which("initdb")
    for folder in (*packaged, *([Path(on_path).resolve().parent] if on_path else [])):
        if all((folder / program).exists() for program in _PROGRAMS):
            return folder
    return None


def why_not(home: Path) -> str | None:
    """Why PostgreSQL cannot serve this stack; None where it can."""
    if find_programs() is None:
        return "PostgreSQL's programs were not found"
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "psycopg2 is not installed"
    user = _user()
    if os.getuid() == 0 and user is None:
        return "it does not run as root, and there is no user postgres or nobody"
    home.mkdir(parents=True, exist_ok=True)
    if user is not None:
        seen = subprocess.run(["test", "-x", str(home)], user=user, check=False).returncode == 0
        if not seen:
            return f"the user {user} may not enter {home}"
    return None


def server(home: Path, facts: Facts) -> Server:
    """The server, its folder made at the first start."""
    programs, data = find_programs(), home / "data"
    if programs is None:
        raise StackError("PostgreSQL's programs were not found")
    if not (data / "PG_VERSION").exists():
        _initialise(programs, home, data, facts.secrets["postgres"])
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(facts.ports["postgres"]),
        "unix_socket_directories": "",
        "shared_buffers": "32MB",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Server(
        name="postgres",
        command=[str(programs / "postgres"), "-D", str(data), *options],
        healthy=lambda: _connects(facts),
        url=f"{LOOPBACK}:{facts.ports['postgres']}",
        user=_user(),
    )


def make_databases(facts: Facts) -> None:
    """One for each client, unless it is there."""
    import psycopg2

    connection = psycopg2.connect(**_place(facts))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            known = {name for (name,) in cursor.fetchall()}
            for database in DATABASES:
                if database not in known:
                    cursor.execute(f'CREATE DATABASE "{database}"')
    finally:
        connection.close()


def url(database: str, facts: Facts, driver: str) -> str:
    """SQLAlchemy's URL of a database; it carries the password and goes into a server's environment only."""
    return f"postgresql+{driver}://{USER}:{facts.secrets['postgres']}@{LOOPBACK}:{facts.ports['postgres']}/{database}"


def _initialise(programs: Path, home: Path, data: Path, password: str) -> None:
    user = _user()
    home.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(data, ignore_errors=True)  # one that was cut short
    secret = home / "password"
    write_private(secret, password)
    if user is not None:
        shutil.chown(home, user)
        shutil.chown(secret, user)
    command = [str(programs / "initdb"), "-D", str(data), "-U", USER, "-E", "UTF8", "--no-locale"]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    done = subprocess.run(
        command, capture_output=True, text=True, user=user, env=clean_environment(), cwd=home, check=False
    )
    secret.unlink()
    if done.returncode:
        raise StackError(f"PostgreSQL's folder could not be made: {done.stderr.strip().splitlines()[-1:]}")


def _connects(facts: Facts) -> bool:
    import psycopg2

    try:
        psycopg2.connect(**_place(facts)).close()
    except psycopg2.OperationalError:
        return False
    return True


def _place(facts: Facts) -> dict[str, object]:
    return {
        "host": LOOPBACK,
        "port": facts.ports["postgres"],
        "user": USER,
        "password": facts.secrets["postgres"],
        "dbname": "postgres",
        "connect_timeout": 5,
    }


def _user() -> str | None:
    """The user that root switches to; None for other users, and where there is none to switch to."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _UNPRIVILEGED if name in known), None)
