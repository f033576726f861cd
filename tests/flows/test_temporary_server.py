"""Prefect's server that ends, while it starts or later, is one line, and no traceback."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import lsd

SAID = "Timed out while attempting to connect to ephemeral Prefect API server. It exited with code -9."


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RuntimeError(SAID), "must start, got"),
        (
            httpx.ConnectError("[Errno 111] Connection refused"),
            "must answer until the run ends, got embedded",
        ),
        (httpx.ReadTimeout("timed out"), "must answer until the run ends, got embedded (ReadTimeout"),
    ],
)
def test_a_server_that_ends_is_one_line(
    error: Exception, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def flow(**_: Any) -> Any:
        def begun(*_: Any, **__: Any) -> Any:
            raise error

        return lambda function: begun

    monkeypatch.setattr("prefect.flow", flow)
    monkeypatch.setattr("flows.pipeline.embedded.end_with_this_process", lambda: None)
    done = lsd("grid", "tiny", home=tmp_path / "lsd-data")
    assert done.returncode != 0
    assert f"Prefect's temporary server {shown}" in " ".join((done.stdout + done.stderr).split())
    assert "run the same command again" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
