"""docs/extending.md is the package in tests/plugins, and its commands do what it says in a fresh environment."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.fresh_environment import fresh_environment

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "tests" / "plugins"
GUIDE = (ROOT / "docs" / "extending.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_readme_of_the_example_is_the_guide() -> None:
    assert (EXAMPLE / "README.md").read_text() == GUIDE


def test_the_files_of_the_guide_are_those_of_the_package() -> None:
    shown = {}
    for block in [*blocks("python"), *blocks("yaml")]:
        name, _, text = block.partition("\n")
        if name.startswith("# "):
            shown[name.removeprefix("# ")] = text
    files = {path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.glob("lsd_example/*.py")}
    assert set(shown) == files - {"lsd_example/__init__.py"} | {"example.yaml"}
    for name, text in shown.items():
        assert text == (EXAMPLE / name).read_text()
    listed = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]
    assert tomllib.loads(blocks("toml")[0])["project"]["entry-points"] == listed


@pytest.fixture
def environment(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A fresh environment beside this one, its folder of work, and the variables that choose it."""
    programs, variables = fresh_environment(tmp_path / "env", ROOT)
    program = programs / "lsd"
    program.write_text(f"#!{programs}/python\nfrom flows.cli import main\n\nmain()\n")
    program.chmod(0o755)
    shutil.copytree(EXAMPLE, tmp_path / "work", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    variables |= {"LSD_HOME": str(tmp_path / "home")}
    variables["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "600"  # on a machine with other work
    return tmp_path / "work", variables


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_package_of_components_runs_from_grid_to_sampling_and_is_missed_when_it_is_gone(
    environment: tuple[Path, dict[str, str]],
) -> None:
    work, variables = environment

    def run(command: str, expected: int = 0) -> str:
        command = command.replace("pip install .", "pip install --no-deps --no-build-isolation --no-index .")
        done = subprocess.run(command, shell=True, cwd=work, env=variables, capture_output=True, text=True)
        assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    use, remove = (block.splitlines() for block in blocks("sh"))
    said = [run(command) for command in use]
    listing = said[-1]
    assert "midpoint" in listing
    assert "strided" in listing
    assert "quantile" in listing
    (draw,) = [block for block in blocks("python") if "load_sampler" in block]
    (work / "draw.py").write_text(draw)
    first = run("python draw.py")
    assert first == run("python draw.py")
    assert len(re.findall(r"\d+", first)) == 4 * 16
    cards = [path.read_text() for path in (work.parent / "home" / "store" / "cells").glob("*/card.json")]
    assert cards
    for card in cards:
        for component in ("lsd.backbones:neighbours", "lsd.tasks:no_repeats", "lsd.metrics:token_share"):
            assert f'"{component}":["lsd-example",1]' in card
    assert any('"lsd.methods:quantile":["lsd-example",1]' in card for card in cards)
    assert any('"lsd.samplers:midpoint":["lsd-example",1]' in card for card in cards)
    assert any('"lsd.orders:strided":["lsd-example",1]' in card for card in cards)
    run(remove[0])
    missed = run(remove[1], expected=2)
    assert len(missed.strip().splitlines()) == 1
    assert "must be installed, got no lsd-example; pip install lsd-example" in missed
    gone = run("lsd grid example.yaml", expected=2)
    assert len(gone.strip().splitlines()) == 1
    assert "must be one of" in gone
