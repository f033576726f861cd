"""The whole line on the tiny grid: trajectories, tables, cards, registry, aliases, samples; then again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.cli import main
from lsd_core.cards import SamplerCard
from lsd_core.registry import list_versions
from lsd_core.sampler import load_sampler
from lsd_core.storage.store import Store
from tests.in_process import lsd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray", "joined_prefect")]

GRID = [sys.executable, "-m", "flows.cli", "grid", "tiny"]


def run(command: list[str], home: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    root = str(Path(__file__).parents[2])
    env |= {"LSD_HOME": str(home), "PYTHONPATH": root, "COLUMNS": "200", **extra}
    return subprocess.run(
        command, env=env, cwd=home.parent, text=True, capture_output=True, timeout=240, check=False
    )


@pytest.fixture(scope="module")
def calm(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of an undisturbed run, and what it printed."""
    home = tmp_path_factory.mktemp("calm") / "lsd-data"
    finished = run(GRID, home, LSD_PREFECT_API_URL=prefect_server)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return home, finished.stdout


def contents(home: Path, prefix: str) -> dict[str, bytes]:
    store = Store(str(home / "store"))
    return {key: store.read_bytes(key) for key in store.list(prefix)}


def tracking(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def test_the_line_ends_in_the_registry_and_says_what_to_do_next(calm: tuple[Path, str]) -> None:
    home, printed = calm
    rows = list_versions("countdown-exact", tracking_uri=tracking(home))
    assert {(row["sampler"], row["method"]) for row in rows} == {
        (sampler, method)
        for sampler in ("euler", "tweedie")
        for method in ("plain", "cosine", "temperature", "lsd")
    }
    aliases = {alias for row in rows for alias in row["aliases"]}
    assert aliases == {"nfe4", "nfe4-euler", "nfe4-tweedie"}
    assert "lsd sample models:/countdown-exact@nfe4" in printed
    assert "Tiny sizes" in printed
    for name in ("table.csv", "verdicts.md", "quality.png", "tables.png"):
        assert (home / "reports" / "tiny" / name).stat().st_size > 0


def test_following_what_the_terminal_prints_ends_in_samples(
    calm: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, printed = calm
    lines = [line.strip() for line in printed.split("  page  ")[1].splitlines()]
    page = Path(lines[0])
    assert page.name == "countdown-exact.html"
    assert page.read_text().startswith("<!doctype html>")
    typed = [line.removeprefix("next").strip() for line in lines]
    commands = [line for line in typed if line.split(" ")[0].endswith("lsd")]
    assert len(commands) == 2
    for command in commands:
        finished = lsd(*command.split()[1:], home=home)
        assert finished.returncode == 0, finished.stderr
    python = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
    monkeypatch.setenv("LSD_HOME", str(home))
    monkeypatch.chdir(home.parent)
    names: dict[str, Any] = {}
    exec("\n".join(python), names)
    assert tuple(names["tokens"].shape) == (16, 64)


def test_no_sample_uses_more_calls_than_its_budget(calm: tuple[Path, str]) -> None:
    cards = [
        SamplerCard.from_json(text.decode())
        for key, text in contents(calm[0], "cells").items()
        if "card" in key
    ]
    assert len(cards) == 8
    assert all(card.calls.max <= card.nfe == 4 for card in cards)


def test_euler_and_tweedie_were_computed_once_and_agree(calm: tuple[Path, str]) -> None:
    files = contents(calm[0], "cells")
    cards = [SamplerCard.from_json(text.decode()) for key, text in files.items() if key.endswith("card.json")]
    by_name = {(card.sampler, card.method): card for card in cards}
    for method in ("plain", "cosine", "temperature", "lsd"):
        euler, tweedie = by_name["euler", method], by_name["tweedie", method]
        assert (euler.table, euler.evaluation) == (tweedie.table, tweedie.evaluation)
    assert sum("table-" in key for key in files) == 2 + 3  # lsd has two seeds, a control one table


def test_a_second_run_reuses_everything(calm: tuple[Path, str]) -> None:
    home = calm[0]
    before = contents(home, "")
    versions = list_versions("countdown-exact", tracking_uri=tracking(home))
    again = lsd("grid", "tiny", home=home)
    assert again.returncode == 0, again.stderr
    assert "cells: 8 reused, 0 made" in again.stdout
    assert "shards: 2 reused, 0 made" in again.stdout
    assert contents(home, "") == before
    assert list_versions("countdown-exact", tracking_uri=tracking(home)) == versions


def test_a_damaged_shard_is_named_and_made_again_and_nothing_else_is(
    calm: tuple[Path, str], tmp_path: Path
) -> None:
    home = tmp_path / "lsd-data"
    shutil.copytree(calm[0], home)
    before = contents(home, "teachers") | contents(home, "cells")
    shard = next(home.glob("store/teachers/*/*/shard-00001-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])  # truncated
    checked = lsd("verify", "--store", str(home / "store"), home=home)
    assert checked.returncode == 1
    assert shard.name in checked.stdout.replace("\n", "")
    finished = lsd("grid", "tiny", home=home)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "shards: 1 reused, 1 made" in finished.stdout
    assert "cells: 8 reused, 0 made" in finished.stdout
    assert contents(home, "teachers") | contents(home, "cells") == before


def test_a_cell_that_fails_is_named_and_the_others_are_registered(
    calm: tuple[Path, str], tmp_path: Path
) -> None:
    home = tmp_path / "lsd-data"
    shutil.copytree(calm[0] / "store", home / "store")
    before = contents(home, "cells")
    for key, data in before.items():
        if key.endswith("card.json") and json.loads(data)["method"] == "lsd":
            Store(str(home / "store")).delete(key)
    learned = next(key for key in before if key.endswith("/table-1.json"))  # only lsd has a second seed
    folder = home / "store" / Path(learned).parent
    for measured in folder.glob("selection-*"):
        measured.unlink()
    (folder / "table-1.json").unlink()
    (folder / "table-1.json" / "in the way").mkdir(parents=True)
    finished = lsd("grid", "tiny", home=home)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    printed = " ".join(finished.stdout.split())
    assert "failed countdown-exact nfe4 euler lsd: InputError:" in printed
    assert "table-1.json" in printed
    assert "Is a directory" in printed
    rows = list_versions("countdown-exact", tracking_uri=tracking(home))
    assert {row["method"] for row in rows} == {"plain", "cosine", "temperature"}
    assert {alias for row in rows for alias in row["aliases"]} == {"nfe4", "nfe4-euler", "nfe4-tweedie"}
    shutil.rmtree(folder / "table-1.json")
    (folder / "table-1.json").write_text("{half a tab")  # which counts as missing
    mended = lsd("grid", "tiny", home=home)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert contents(home, "cells") == before


def test_a_killed_run_is_finished_by_the_next_with_the_same_bytes(
    calm: tuple[Path, str], tmp_path: Path
) -> None:
    home = tmp_path / "lsd-data"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {"LSD_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    flow = subprocess.Popen(
        GRID,
        env=env,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not list(home.glob("store/cells/*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(flow.pid, signal.SIGKILL)
    flow.wait()
    assert len(list(home.glob("store/cells/*/card.json"))) < 8  # it was killed half-way
    finished = lsd("grid", "tiny", home=home)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for prefix in ("teachers", "cells", "champions"):
        assert contents(home, prefix) == contents(calm[0], prefix)


def test_a_store_on_s3_holds_the_same_bytes(
    calm: tuple[Path, str], bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, url = tmp_path / "lsd-data", f"{bucket}/lsd"
    finished = run([*GRID, "--store", url], home)  # its workers need the bucket's credentials
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "secret-of-the-test" not in finished.stdout + finished.stderr
    store = Store(url)
    for prefix in ("teachers", "cells", "champions", "backbones"):
        assert {key: store.read_bytes(key) for key in store.list(prefix)} == contents(calm[0], prefix)
    again = lsd("grid", "tiny", "--store", url, home=home)
    assert "shards: 2 reused, 0 made" in again.stdout
    assert "cells: 8 reused, 0 made" in again.stdout
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    sampler = load_sampler("models:/countdown-exact@nfe4", tracking_uri=tracking(home))
    assert sampler.sample(2).shape == (2, 64)


def test_samples_from_an_empty_folder_given_only_registry_and_store(
    calm: tuple[Path, str], tmp_path: Path
) -> None:
    home = calm[0]
    empty = tmp_path / "elsewhere" / "lsd-data"
    empty.parent.mkdir()
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "sample",
        "models:/countdown-exact@nfe4",
        "-n",
        "3",
        "--json",
    ]
    places = {
        "LSD_TRACKING_URI": tracking(home),
        "LSD_STORE": str(home / "store"),
        "LSD_CACHE": str(tmp_path / "c"),
    }
    finished = run(command, empty, **places)
    assert finished.returncode == 0, finished.stderr
    sampler = load_sampler(
        "models:/countdown-exact@nfe4", tracking_uri=tracking(home), store=str(home / "store")
    )
    assert json.loads(finished.stdout) == sampler.sample(3, seed=0).tolist()


def test_the_readme_example_runs(calm: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    example = readme.split("```python")[1].split("```")[0]
    assert "countdown@nfe8" in example
    monkeypatch.setenv("LSD_HOME", str(calm[0]))
    names: dict[str, object] = {}
    exec(example.replace("countdown@nfe8", "countdown-exact@nfe4"), names)
    tokens = names["tokens"]
    assert isinstance(tokens, torch.Tensor)
    assert (tuple(tokens.shape), tokens.dtype) == ((16, 64), torch.int64)
    more = names["sampler"].sample(32, seed=0)  # type: ignore[attr-defined]
    assert torch.equal(more[:16], tokens)


def test_the_registry_is_rebuilt_from_the_store(calm: tuple[Path, str], tmp_path: Path) -> None:
    home, fresh = calm[0], f"sqlite:///{tmp_path / 'fresh.db'}"
    finished = lsd("register", "--store", str(home / "store"), "--registry", fresh, home=home)
    assert finished.returncode == 0, finished.stderr

    def held(uri: str) -> dict[str, str]:
        rows = list_versions("countdown-exact", tracking_uri=uri)
        return {alias: row["card_sha256"] for row in rows for alias in row["aliases"]}

    assert held(fresh) == held(tracking(home))
    assert len(held(fresh)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grid", "tiny", "--nfe", "0"], ["nfe", ">= 1", "0"]),
        (["grid", "tiny", "--nfe", "2.5"], ["nfe", "2.5", "integer"]),
        (["grid", "tiny", "--colour", "red"], ["colour"]),
        (["grid", "tiny", "--backbones", "countup"], ["backbone", "countdown", "countup"]),
        (["grid", "tiny", "--samplers", "ruler"], ["sampler", "euler", "ruler"]),
        (["grid", "tiny", "--methods", "magic"], ["method", "lsd", "magic"]),
        (["grid", "tiny", "--store", "/nowhere/at/all"], ["store", "/nowhere/at/all"]),
        (["sample", "models:/countdown-exact@nfe99"], ["nfe99", "nfe4"]),
        (["samplers", "countup"], ["backbone", "countdown-exact"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    calm: tuple[Path, str],
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(calm[0], "")
    monkeypatch.setenv("LSD_HOME", str(calm[0]))
    monkeypatch.chdir(calm[0].parent)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 2, printed
    assert len(printed.err.strip().splitlines()) == 1
    for word in words:
        assert word in printed.err
    assert contents(calm[0], "") == before


def test_bad_input_ends_the_process_with_that_line_and_code(calm: tuple[Path, str]) -> None:
    finished = run([sys.executable, "-m", "flows.cli", "grid", "tiny", "--nfe", "0"], calm[0])
    assert finished.returncode == 2, finished.stdout + finished.stderr
    (line,) = finished.stderr.strip().splitlines()
    assert "nfe" in line
