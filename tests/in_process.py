"""`lsd` in the process of a test, on its Ray and its Prefect server: each start of both takes half a minute."""

import contextlib
import io
import signal
import subprocess
from pathlib import Path

import pytest

from flows.cli import main


def lsd(*arguments: str, home: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with this home and these variables; what it printed and its exit code."""
    home.parent.mkdir(parents=True, exist_ok=True)
    out, err, code, asked = io.StringIO(), io.StringIO(), 0, signal.getsignal(signal.SIGTERM)
    places = {"LSD_HOME": str(home), "LSD_CACHE": str(home / "cache"), "COLUMNS": "200"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (places | extra).items():
            patch.setenv(name, value)
        patch.chdir(home.parent)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(list(arguments))
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                signal.signal(signal.SIGTERM, asked)
    return subprocess.CompletedProcess(["lsd", *arguments], code, out.getvalue(), err.getvalue())
