"""Real servers, started once for the session and stopped at its end.

With LSD_REQUIRE_SERVERS=1 a server that cannot be installed or started is a failure; without, a skip.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack.packages import StackError
from infra.stack.swift import Swift, start_swift


def unavailable(error: StackError) -> None:
    """Fail or skip, as LSD_REQUIRE_SERVERS says."""
    if os.environ.get("LSD_REQUIRE_SERVERS") == "1":
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """An S3 server that checks signatures."""
    home: Path = tmp_path_factory.mktemp("swift")
    try:
        server = start_swift(home)
    except StackError as error:
        unavailable(error)
        return
    with server:
        yield server


@pytest.fixture
def swift_environment(swift: Swift, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sets to reach it."""
    for name, value in swift.env().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def swift_bucket(swift: Swift, swift_environment: None) -> str:
    """The URL of a fresh bucket on it."""
    return swift.make_bucket(f"b-{uuid.uuid4().hex}")
