"""Networks that people have, through a whole grid on Ray workers: from a folder or import path to tokens elsewhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lsd_core.backbones import imported
from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.registry import list_versions
from lsd_core.sampler import load_sampler
from lsd_core.samplers import generate
from tests.lsd_core.backbones import diffusion_lms
from tests.lsd_core.backbones.test_imported import SOURCE, TARGET
from tests.lsd_core.backbones.test_masked_lm import WORDS, model_of

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]

LENGTH = 6
FOLDERS = ("bert", "roberta", "esm", "llada", "dream")
METHODS = ("plain", "path_kl")
ROOT = Path(__file__).parents[2]
GRID = {
    "name": "networks",
    "nfe": [3],
    "samplers": ["halton", "confidence_drawn", "entropy_share"],
    "methods": list(METHODS),
    "method_configs": {"path_kl": {"price_sequences": 64, "gain_paths": 4, "candidates": [1.0, 1.5]}},
    "teacher": {"trajectories": 8, "shard_rows": 8, "batch": 8},
    "evaluation": {
        "samples": 8,
        "selection_samples": 8,
        "seeds": 1,
        "batch": 8,
        "temperatures": [1.0, 0.8],
        "certificate_paths": 4,
    },
}


def write_masked_lm(folder: Path, kind: str) -> str:
    """A checkpoint of transformers with a tokenizer of residues; its address."""
    model_of(kind).save_pretrained(folder)
    vocabulary = folder.parent / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(vocabulary), do_lower_case=False).save_pretrained(folder)
    return f"{folder.name}?length={LENGTH}"


@pytest.fixture(scope="module")
def home(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a finished run of two workers, the checkpoints beside it."""
    place = tmp_path_factory.mktemp("networks")
    addresses = [write_masked_lm(place / kind, kind) for kind in FOLDERS[:3]]
    for kind in FOLDERS[3:]:
        diffusion_lms.write(place / kind, kind, sharded=True)
        addresses.append(f"{kind}?length={LENGTH}")
    (place / "packages").mkdir()
    (place / "packages" / "mine_networks.py").write_text(SOURCE)
    (place / "grid.yaml").write_text(yaml.safe_dump(GRID | {"backbones": [*addresses, f"python:{TARGET}"]}))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {"LSD_HOME": str(place / "lsd-data"), "LSD_CACHE": str(place / "cache"), "COLUMNS": "200"}
    env |= {"PYTHONPATH": f"{ROOT}:{place / 'packages'}", "LSD_PREFECT_API_URL": prefect_server}
    command = [sys.executable, "-m", "flows.cli", "grid", "grid.yaml", "--workers", "2"]
    done = subprocess.run(
        command, env=env, cwd=place, text=True, capture_output=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "lsd-data"


def champion(home: Path, name: str):
    return load_sampler(f"models:/{name}@nfe3", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_registered_samples_elsewhere_as_the_folder_does(
    home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home.parent
    folder = load_backbone(f"{place / name}?length={LENGTH}")
    rows = list_versions(name, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    assert {(row["method"], row["sampler"]) for row in rows} == {
        *((method, sampler) for method in METHODS for sampler in ("halton", "confidence_drawn")),
        ("plain", "entropy_share"),
    }
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    aliases = {alias for row in rows for alias in row["aliases"]}
    assert aliases == {"nfe3", "nfe3-halton", "nfe3-confidence_drawn", "nfe3-entropy_share"}
    hidden = shutil.move(place / name, tmp_path / "moved")
    try:
        for row in rows:
            sampler = load_sampler(row["uri"], tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
            assert sampler.card.backbone.fingerprint == folder.fingerprint
            assert sampler.card.calls.max <= 3
            direct = generate(folder, sampler.card.sampler, sampler.card.table, 5, 0).tokens
            assert torch.equal(sampler.sample(5, seed=0), direct)
    finally:
        shutil.move(hidden, place / name)


def test_a_network_by_import_path_needs_its_name_to_be_loaded(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "empty"))
    monkeypatch.syspath_prepend(home.parent / "packages")
    monkeypatch.setattr(imported, "_named", {})
    with pytest.raises(InputError, match=f"export LSD_PYTHON_BACKBONES={TARGET}"):
        champion(home, "mine")
    monkeypatch.setenv("LSD_PYTHON_BACKBONES", TARGET)
    sampler = champion(home, "mine")
    direct = generate(
        load_backbone(f"python:{TARGET}"), sampler.card.sampler, sampler.card.table, 5, 0
    ).tokens
    assert torch.equal(sampler.sample(5, seed=0), direct)
