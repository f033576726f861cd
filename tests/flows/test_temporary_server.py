"""Prefect's temporary server that ends while it starts is one line, and no traceback."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.config import load_grid
from flows.pipeline.embedded import run_embedded
from lsd_core.errors import Unreachable


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "Timed out while attempting to connect to ephemeral Prefect API server. It exited with code -9.",
            Unreachable,
        ),
        ("something else", RuntimeError),
    ],
)
@pytest.mark.usefixtures("lsd_home")
def test_a_server_that_ends_while_it_starts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, kind: type[Exception]
) -> None:
    def flow(**_: Any) -> Any:
        def begun(*_: Any, **__: Any) -> Any:
            raise RuntimeError(said)

        return lambda function: begun

    monkeypatch.setattr("prefect.flow", flow)
    monkeypatch.setattr("flows.pipeline.embedded.end_with_this_process", lambda: None)
    with pytest.raises(kind) as caught:
        run_embedded(load_grid("tiny"), Console(quiet=True))
    assert said in str(caught.value)
