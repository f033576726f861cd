"""The Makefile installs what each target needs and no more."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def planned(target: str, *settings: str) -> list[str]:
    """The commands that make would run for a target in a fresh checkout."""
    command = ["make", "--dry-run", "--no-print-directory", target, "VENV=fresh", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def installations(target: str, *settings: str) -> list[tuple[str, str]]:
    """(program, what it installs) of each installation."""
    found = [line.split() for line in planned(target, *settings) if " install " in line]
    return [(words[0], words[-1].strip("'")) for words in found]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("demo", "."),
        ("bench", "."),
        ("stack", ".[stack]"),
        ("docs", ".[docs]"),
        ("check", ".[dev] molsets"),
        ("test", ".[dev] molsets"),
        ("molecules", ".[molecules] molsets"),
    ],
)
def test_a_fresh_checkout_installs_once_what_the_target_needs(target: str, what: str) -> None:
    assert installations(target, "UV=") == [("fresh/bin/pip", each) for each in what.split()]
    assert installations(target, "UV=/some/uv") == [("/some/uv", each) for each in what.split()]
    assert all("constraints.txt" in line for line in planned(target, "UV=") if " install " in line)
