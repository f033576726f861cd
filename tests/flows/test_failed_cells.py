"""Whatever fails in a grid, the others finish, and the reasons are shown."""

import json
from pathlib import Path

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones import storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.candidates.results import Results
from lsd_core.errors import Unreachable
from lsd_core.registry import list_versions
from lsd_core.storage.store import Store
from lsd_core.storage.tensorfile import TensorFile
from tests.flows.test_grid import tracking
from tests.in_process import lsd

GRID = """
name: failing
backbones: [{backbone}]
nfe: [2, 4]
samplers: [euler]
methods: [plain, cosine, temperature]
evaluation: {{samples: 8, selection_samples: 8, seeds: 2, batch: 8, temperatures: [1.0, 0.9], certificate_paths: 0}}
workers: 2
"""


def write(folder: Path, backbone: str) -> str:
    file = folder / "failing.yaml"
    file.write_text(GRID.format(backbone=json.dumps(backbone)))
    return str(file)


@pytest.mark.usefixtures("local_ray", "joined_prefect")
@pytest.mark.parametrize("method", ["plain", "temperature"])
def test_a_control_that_fails_takes_no_other_with_it(method: str, tmp_path: Path) -> None:
    home, file = tmp_path / "lsd-data", write(tmp_path, "countdown-exact")
    plan = make_plan(load_grid(file))
    broken = next(spec for spec in plan.candidates if (spec.method, spec.nfe) == (method, 4))
    blocked = home / "store" / Results(Store(str(home / "store")), broken).table_key(0)
    (blocked / "in the way").mkdir(parents=True)  # its table cannot be written
    finished = lsd("grid", file, home=home)
    printed = " ".join((finished.stdout + finished.stderr).split())
    assert finished.returncode == 1, printed
    assert "Traceback" not in printed
    assert f"failed {broken.label}: " in printed
    found = {
        (row["nfe"], row["method"]) for row in list_versions("countdown-exact", tracking_uri=tracking(home))
    }
    lost = {(4, method)} | ({(4, "temperature")} if method == "plain" else set())
    assert found == {(nfe, name) for nfe in (2, 4) for name in ("plain", "cosine", "temperature")} - lost
    aliases = {
        alias
        for row in list_versions("countdown-exact", tracking_uri=tracking(home))
        for alias in row["aliases"]
    }
    decided = {"nfe2", "nfe2-euler"} | ({"nfe4", "nfe4-euler"} if method == "temperature" else set())
    assert aliases == decided  # without its plain sampler nothing of a budget is decided
    (blocked / "in the way").rmdir()
    blocked.rmdir()
    mended = lsd("grid", file, home=home)
    assert mended.returncode == 0, mended.stdout + mended.stderr


@pytest.mark.usefixtures("local_ray", "joined_prefect")
def test_where_all_fail_the_reasons_are_shown(tmp_path: Path) -> None:
    weights, shipped = tmp_path / "spoiled.safetensors", load_backbone("countdown")
    tensors = {name: tensor * float("nan") for name, tensor in shipped.tensors().items()}
    file = TensorFile(name="spoiled", config=shipped.config, tensors=tensors)
    weights.write_bytes(file.to_bytes())
    assert storage.load_file(weights).name == "spoiled"
    finished = lsd("grid", write(tmp_path, str(weights)), home=tmp_path / "lsd-data")
    printed = " ".join((finished.stdout + finished.stderr).split())
    assert finished.returncode == 1, printed
    assert "Traceback" not in printed
    assert "IndexError" not in printed
    assert "output of backbone spoiled must have a finite largest value in every row" in printed


def test_an_outage_while_json_is_read_may_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A store that does not answer is no wrong input: whoever retries must see the difference."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unreachable):
        Store("s3://nobody/store").read_json("cells/0/card.json")
