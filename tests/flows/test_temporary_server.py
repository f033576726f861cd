"""Prefect's temporary server that ends while it starts is one line, and no traceback."""

from pathlib import Path
from typing import Any

import pytest

from tests.in_process import lsd

SAID = "Timed out while attempting to connect to ephemeral Prefect API server. It exited with code -9."


def test_a_server_that_ends_while_it_starts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def flow(**_: Any) -> Any:
        def begun(*_: Any, **__: Any) -> Any:
            raise RuntimeError(SAID)

        return lambda function: begun

    monkeypatch.setattr("prefect.flow", flow)
    monkeypatch.setattr("flows.pipeline.embedded.end_with_this_process", lambda: None)
    done = lsd("grid", "tiny", home=tmp_path / "lsd-data")
    assert done.returncode != 0
    assert "Prefect's temporary server must start, got" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stdout + done.stderr
