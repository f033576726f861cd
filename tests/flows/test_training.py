"""`lsd train` writes a backbone that loads, and refuses what it cannot train."""

from pathlib import Path

import pytest
from rich.console import Console

from flows.training import train_backbone
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.storage import read_notes
from lsd_core.errors import InputError


def test_a_trained_file_is_a_backbone_with_a_record_of_its_making(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    trained = train_backbone(
        "countdown", path, Console(quiet=True), family="sedd", length=8, steps=3, batch=2, dim=12, init=None
    )
    loaded = load_backbone(str(path))
    assert loaded.fingerprint == trained.fingerprint
    assert (loaded.length, loaded.family, loaded.name) == (8, "sedd", "mine")
    assert read_notes(path.read_bytes())["train"]["steps"] == 3
    again = tmp_path / "again.safetensors"
    train_backbone(
        "countdown", again, Console(quiet=True), family="sedd", length=8, steps=3, batch=2, dim=12, init=None
    )
    assert load_backbone(str(again)).tensors().keys() == loaded.tensors().keys()
    assert load_backbone(str(again)).fingerprint == loaded.fingerprint  # the same seed, the same weights


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "countup"}, ["name", "countdown", "countup"]),
        ({"family": "gpt"}, ["family", "sedd", "gpt"]),
        ({"length": 1}, ["length", ">= 2", "1"]),
        ({"steps": 0}, ["steps", ">= 1", "0"]),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict, words: list[str]) -> None:
    given = {"name": "countdown", "family": "radd", "length": 8, "steps": 1, "init": None} | settings
    with pytest.raises(InputError) as caught:
        train_backbone(given.pop("name"), tmp_path / "x.safetensors", Console(quiet=True), **given)
    for word in words:
        assert word in str(caught.value)
