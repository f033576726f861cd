"""A whole study through the command line: table, figure, sentence; again without work; nothing registered."""

import csv
import subprocess
from pathlib import Path

import pytest

from tests.in_process import lsd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]

STUDY = """
name: small
question: Does it run?
kind: certificates
nfe: [2, 4]
variants:
  - {label: plain, method: plain}
  - {label: cosine, method: cosine}
  - label: planned
    method: path_kl
    method_config: {price_sequences: 512, gain_paths: 4, candidates: [1.0, 2.0]}
    together: true
teacher: {trajectories: 16, shard_rows: 16, batch: 16}
evaluation: {samples: 32, seeds: 2, batch: 32, certificate_paths: 4}
"""


def run(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return lsd("study", *arguments, home=home, COLUMNS="2000")


@pytest.fixture(scope="module")
def done(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of a finished study, and what it printed."""
    home = tmp_path_factory.mktemp("study") / "lsd-data"
    (home.parent / "small.yaml").write_text(STUDY)
    finished = run(["small.yaml", "--workers", "2"], home)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return home, finished.stdout


def files(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_it_leaves_a_table_a_figure_and_a_sentence(done: tuple[Path, str]) -> None:
    home, printed = done
    folder = home / "reports" / "studies" / "small"
    assert {path.name for path in folder.iterdir()} == {"table.csv", "figure.png", "verdict.md"}
    verdict = (folder / "verdict.md").read_text()
    assert "reverse certificate" in verdict
    assert "32 samples x 2 seeds" in verdict
    assert verdict.splitlines()[2] in " ".join(printed.split())  # a terminal wraps it
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_has_every_variant_its_certificates_and_its_costs(done: tuple[Path, str]) -> None:
    with (done[0] / "reports" / "studies" / "small" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["plain"] * 2 + ["cosine"] * 2 + ["planned"] * 2 + [
        "teacher exact"
    ]
    assert all(
        float(row["certificate_value_nats"]) > 0 and float(row["forward_swapped_value_nats"]) > 0
        for row in rows[:-1]
    )
    assert [row["learning_sequences"] for row in rows[:4]] == ["0"] * 4
    # together: 8 paths x 64 prices once; then a call a step and two more a candidate, 2 + 4 steps, 4 paths
    assert [int(row["learning_sequences"]) for row in rows[4:6]] == [512 + 4 * 6 * 3] * 2
    assert all(float(row["calls_mean"]) <= int(row["nfe"]) for row in rows[:-1])


def test_nothing_is_registered(done: tuple[Path, str]) -> None:
    home = done[0]
    assert not (home / "mlflow.db").exists()
    assert not list(home.glob("store/cells/*/card.json"))


def test_again_makes_nothing_and_leaves_the_same_files(done: tuple[Path, str]) -> None:
    home = done[0]
    before = files(home)
    again = run(["small.yaml"], home)
    assert again.returncode == 0, again.stderr
    assert "tables: 8 reused, 0 made" in again.stdout
    assert files(home) == before


def test_the_list_and_an_unknown_name(tmp_path: Path) -> None:
    listed = run(["--list"], tmp_path / "lsd-data")
    assert listed.returncode == 0
    assert "speed-up" in listed.stdout
    unknown = run(["luck"], tmp_path / "lsd-data")
    assert unknown.returncode == 2
    assert "must be one of budget" in unknown.stderr
