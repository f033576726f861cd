"""Averaged weights are found wherever training code keeps them, or refused by key; raw ones never replace them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lsd_core.backbones.checkpoint import AVERAGES, read_tensors
from lsd_core.backbones.published import find_weights
from lsd_core.errors import InputError

RAW = {"w": torch.zeros(2, 3), "b": torch.zeros(3)}
MEAN = {"w": torch.ones(2, 3), "b": torch.ones(3)}
IN_ORDER = list(MEAN.values())


def read(folder: Path, content: Any) -> dict[str, torch.Tensor]:
    path = folder / "weights.pt"
    torch.save(content, path)
    return read_tensors(path)


def is_mean(tensors: dict[str, torch.Tensor]) -> bool:
    return set(tensors) == set(MEAN) and all(torch.equal(tensors[name], MEAN[name]) for name in MEAN)


@pytest.mark.parametrize("key", AVERAGES)
@pytest.mark.parametrize("model", ["model", "state_dict", None])
def test_averages_under_every_usual_key_are_taken(key: str, model: str | None, tmp_path: Path) -> None:
    raw: dict[str, Any] = dict(RAW) if model is None else {model: dict(RAW)}
    prefixed = {f"module._orig_mod.{name}": value for name, value in MEAN.items()}
    for averages in (
        MEAN,
        prefixed,
        {"shadow_params": IN_ORDER},
        {"shadow_params": MEAN},
        {"module": MEAN, "decay": 0.99},
        IN_ORDER,
    ):
        assert is_mean(read(tmp_path, raw | {key: averages, "step": 5}))


def test_averages_alone_are_the_weights(tmp_path: Path) -> None:
    assert is_mean(read(tmp_path, {"ema_state_dict": MEAN, "step": 3}))


def test_a_file_without_averages_gives_its_weights(tmp_path: Path) -> None:
    for content in (RAW, {"model": RAW, "ema_decay": 0.99}, {"state_dict": RAW, "ema": None}):
        assert torch.equal(read(tmp_path, content)["w"], RAW["w"])
    assert torch.equal(read(tmp_path, {"schema.w": RAW["w"]})["schema.w"], RAW["w"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"net_ema": MEAN}, "net_ema"),
        ({"averaged_model": MEAN}, "averaged_model"),
        ({"shadow": IN_ORDER}, "shadow"),
        ({"ema": MEAN, "model_ema": MEAN}, "ema and model_ema"),
        ({"ema": {"decay": 0.9}}, "shadow_params"),
        ({"ema_weights": "none"}, "ema_weights"),
        ({"ema": {"w": MEAN["w"]}}, "missing ['b']"),
        ({"ema": MEAN | {"c": MEAN["w"]}}, "unexpected ['c']"),
        ({"ema": MEAN | {"w": torch.ones(3, 2)}}, "shape (2, 3)"),
    ],
)
def test_other_averages_are_refused_by_key(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"model": RAW} | more)
    assert words in str(caught.value)
    assert "weights.pt" in str(caught.value)


def test_averages_among_the_parameters_are_refused(tmp_path: Path) -> None:
    mixed = RAW | {f"model_ema.{name}": value for name, value in MEAN.items()}
    with pytest.raises(InputError, match=r"model_ema\.w"):
        read(tmp_path, {"state_dict": mixed})


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    files = {"w": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}
    for name, file in files.items():
        torch.save({f"module.{name}": MEAN[name].half()}, tmp_path / file)
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {f"module.{k}": v for k, v in files.items()}}))
    assert find_weights(tmp_path) == index
    assert is_mean(read_tensors(index))
    assert read_tensors(index, widen=False)["w"].dtype == torch.float16
    index.write_text(json.dumps({"weight_map": files | {"c": files["b"]}}))
    with pytest.raises(InputError, match="hold every tensor that it lists, got no c"):
        read_tensors(index)
