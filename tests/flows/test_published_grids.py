"""The grids of published networks say what to download and where to put it, before any work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.config import grid_names, load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.errors import InputError
from lsd_core.metrics.judges.causal_judge import GPT2_LARGE
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.transformer import random_tensors

GRIDS = {
    "sedd-small": "louaaron/sedd-small",
    "sedd-medium": "louaaron/sedd-medium",
    "radd": "JingyangOu/radd-t-dce",
    "mdlm": "kuleshov-group/mdlm-owt",
    "duo": "s-sahoo/duo",
    "cifar10-ctmc": "andrew-cr/tauLDR",
}


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    load_backbone.cache_clear()
    return tmp_path


@pytest.mark.parametrize("name", GRIDS)
def test_without_weights_a_grid_says_what_and_where(name: str, places: Path) -> None:
    assert name in grid_names()
    with pytest.raises(InputError) as refusal:
        make_plan(load_grid(name))
    assert GRIDS[name] in str(refusal.value)
    assert str(places / "weights" / name) in str(refusal.value)


@pytest.mark.slow
def test_the_command_ends_with_exit_code_2_and_one_line(places: Path) -> None:
    env = os.environ | {"LSD_HOME": str(places / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "grid", "sedd-small"],
        env=env | {"HF_HUB_CACHE": str(places / "hub")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: backbone sedd-small must have its weights")
    assert done.stderr.count("\n") == 1


def test_with_weights_but_no_judge_the_judge_is_named(places: Path) -> None:
    config = files.nested_config(hidden_size=8, cond_dim=4, length=64, n_blocks=1, n_heads=2)
    tensors = random_tensors(states=50258, dim=8, blocks=1, heads=2, cond=4)
    files.write_hub(places / "weights" / "sedd-small", config | {"tokens": 50257}, tensors)
    with pytest.raises(InputError, match=f"judge {GPT2_LARGE} must have its weights"):
        make_plan(load_grid("sedd-small"))


@pytest.mark.parametrize("name", ["mdlm", "duo"])
def test_with_weights_and_judge_a_grid_is_planned(
    name: str, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsd_core.tasks.openwebtext.judge_folder", lambda: places)
    config = files.flat_config(name, hidden_dim=8, cond_dim=4, model_length=64, n_blocks=1, n_heads=2)
    tensors = random_tensors(states=50258, dim=8, blocks=1, heads=2, cond=4, prefix="backbone.")
    files.write_hub(places / "weights" / name, config | {"vocab_size": 50258}, tensors)
    plan = make_plan(load_grid(name))
    assert {spec.backbone.name for spec in plan.candidates} == {name}
    assert {spec.evaluation.task for spec in plan.candidates} == {"openwebtext"}
