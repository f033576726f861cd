"""Every line of the tutorials is run, from the network to samples of what was registered, at the smallest sizes."""

from pathlib import Path

import pytest

from lsd_core.backbones.catalog import load_backbone
from tests import test_tutorials
from tests.test_tutorials import TUTORIALS, followed

GRID = (
    "--nfe 8 --samplers euler --methods plain --trajectories 8 --shard-rows 8 --teacher.batch 8 --workers 1"
)
GRID += " --samples 8 --evaluation.selection-samples 8 --seeds 1 --batch 8 --evaluation.temperatures 1.0"
GRID += " --evaluation.certificate-paths 2 --evaluation.one-by-one 0"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of work for all pages: a registry takes seconds to be made."""
    return tmp_path_factory.mktemp("tutorials")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("local_ray", "joined_prefect")
@pytest.mark.parametrize("page", TUTORIALS)
def test_every_line_of_a_tutorial_is_run(page: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("LSD_HOME", str(work / "lsd-home"))
    monkeypatch.setenv("LSD_CACHE", str(work / "lsd-cache"))
    monkeypatch.setitem(test_tutorials.SMALLEST, "grid", GRID)
    load_backbone.cache_clear()
    names = followed(page, work, until="nothing")
    if page == "checkpoint":
        assert names["sampler"].card.backbone.fingerprint == names["backbone"].fingerprint
        assert (names["sampler"].nfe, names["tokens"].shape) == (8, (4, 8))
    if page == "molecules":
        assert len(names["molecules"]) == 10
        assert all(molecule.startswith("CCO") for molecule in names["completed"])
