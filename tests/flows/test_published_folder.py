"""A grid on checkpoints as they are published, given by their folders: from trajectories to the registry."""

import shutil
from pathlib import Path

import pytest

from lsd_core.backbones.catalog import load_backbone
from lsd_core.registry import list_versions
from lsd_core.sampler import load_sampler
from tests.in_process import lsd
from tests.lsd_core.backbones.published import files

pytestmark = pytest.mark.slow

METHODS = ("plain", "temperature", "lsd", "path_kl")


@pytest.fixture(scope="module")
def home(local_ray: None, tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """The home of a finished run, the published folders beside it."""
    place = tmp_path_factory.mktemp("published")
    files.write_hub(place / "my-sedd", files.nested_config(), files.sedd_tensors())
    files.write_hub(place / "my-mdlm", files.flat_config("mdlm"), files.mdlm_tensors())
    options = [
        "--nfe",
        "3",
        "--samples",
        "32",
        "--samplers",
        "euler",
        "--methods",
        *METHODS,
        "--metrics",
        "distinct",
    ]
    places = {"LSD_CACHE": str(place / "cache"), "LSD_PREFECT_API_URL": prefect_server}
    done = lsd(
        "grid", "tiny", *options, "--backbones", "my-sedd", "my-mdlm", home=place / "lsd-data", **places
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "lsd-data"


@pytest.mark.parametrize("name", ["my-sedd", "my-mdlm"])
def test_every_method_is_registered_under_the_folders_name(home: Path, name: str) -> None:
    rows = list_versions(name, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    assert {row["method"] for row in rows} == set(METHODS)
    assert {alias for row in rows for alias in row["aliases"]} == {"nfe3", "nfe3-euler"}
    published = load_backbone(str(home.parent / name))
    for row in rows:
        sampler = load_sampler(row["uri"], tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
        assert sampler.card.backbone.fingerprint == published.fingerprint
        assert 0 < sampler.card.evaluation.report["distinct_1"].mean <= 1
        assert sampler.card.calls.max <= 3
        assert sampler.card.certificate["value_nats"] >= 0
    assert len(list((home / "reports").rglob(f"{name}.html"))) == 1


def test_the_champion_samples_without_the_folder(home: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.move(home.parent / "my-sedd", tmp_path / "elsewhere")
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "empty"))
    sampler = load_sampler("models:/my-sedd@nfe3", tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    tokens = sampler.sample(5, seed=0)
    assert tokens.shape == (5, files.LENGTH)
    assert int(tokens.max()) < files.V
    assert tokens[:2].equal(sampler.sample(2, seed=0))
