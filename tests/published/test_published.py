"""Artifacts made by version 0.1.0 (store, registry) still load, verify, sample the same tokens and are reused.

`home.tar.xz` is the home folder that the grids beside it left at commit bc04dc0, on a CPU: the store, the registry as
SQL, the models' files, and `tokens.json`, three samples of each card at seed 7. LSD_HOME_FOLDER stands for the folder.
"""

import json
from pathlib import Path

import pytest
import torch

from flows.config import load_grid
from lsd_core import load_sampler
from lsd_core.cards import SamplerCard
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import load_manifest
from tests.in_process import lsd
from tests.published.unpacked import unpack_home

HERE = Path(__file__).parent
GRIDS = ("tiny", "orders", "noisy", "network")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder, unpacked at another place than it was made."""
    return unpack_home(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def recorded(home: Path) -> dict[str, dict[str, object]]:
    """By key of a cell or URI of a model: the card's hash and the tokens that were drawn."""
    read: dict[str, dict[str, object]] = json.loads((home / "tokens.json").read_text())
    return read


def test_every_card_reads_writes_the_same_bytes_and_samples_the_same_tokens(home, recorded):
    cards = {path.parent.name: path for path in sorted(home.glob("store/cells/*/card.json"))}
    assert len(cards) == 23
    assert cards.keys() == {key for key in recorded if not key.startswith("models:")}
    for key, path in cards.items():
        card = SamplerCard.from_json(path.read_text())
        assert card.to_json() == path.read_text()
        sampler = load_sampler(path)
        assert sampler.card.sha256 == recorded[key]["sha256"]
        assert torch.equal(sampler.sample(3, seed=7), torch.tensor(recorded[key]["tokens"])), card.title


def test_every_registered_champion_loads_from_the_registry(home, recorded):
    uris = [key for key in recorded if key.startswith("models:")]
    assert len(uris) == 3
    for uri in uris:
        sampler = load_sampler(uri, tracking_uri=f"sqlite:///{home}/mlflow.db")
        assert sampler.card.sha256 == recorded[uri]["sha256"]
        assert torch.equal(sampler.sample(3, seed=7), torch.tensor(recorded[uri]["tokens"]))


def test_every_grid_finds_its_cells_done(home):
    from flows.pipeline.plan import make_plan

    done = {path.parent.name for path in home.glob("store/cells/*/card.json")}
    store, found = Store(str(home / "store")), set()
    for name in GRIDS:
        plan = make_plan(load_grid(str(HERE / f"{name}.yaml")), store)
        keys = {spec.key for spec in plan.candidates}
        assert keys <= done, name
        found |= keys
        for teacher in plan.teachers:
            assert load_manifest(store, teacher).shards
    assert found == done


@pytest.mark.slow
@pytest.mark.usefixtures("joined_prefect")
def test_the_command_line_reuses_all_of_a_grid_and_finds_the_store_intact(home):
    cards = {path: path.read_bytes() for path in home.glob("store/cells/*/card.json")}
    run = lsd("grid", str(HERE / "tiny.yaml"), home=home)
    assert "cells: 8 reused, 0 made" in run.stdout
    assert "0 made" in run.stdout.split("shards:")[1].splitlines()[0]
    assert {path: path.read_bytes() for path in home.glob("store/cells/*/card.json")} == cards
    assert "no bad file" in lsd("verify", home=home).stdout
