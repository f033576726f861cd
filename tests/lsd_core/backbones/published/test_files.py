"""Published files: which tensors count, where the configuration lies, what is kept, and what is refused."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lsd_core.backbones.checkpoint import read_tensors
from lsd_core.backbones.published import load_published
from lsd_core.errors import InputError
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.files import nested_config, radd_tensors, sedd_tensors


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_training_run_loads_with_its_averages(tmp_path: Path) -> None:
    averages = sedd_tensors()
    raw = {name: tensor + 1 for name, tensor in averages.items()}
    raw["rotary_emb.inv_freq"] = averages["rotary_emb.inv_freq"]
    run = files.write_run(tmp_path / "run", nested_config(), raw, averages)
    published = files.write_hub(tmp_path / "hub", nested_config(), averages)
    for path in (run, run / "checkpoints-meta" / "checkpoint.pth"):
        assert load_published(path, "b").fingerprint == load_published(published, "b").fingerprint


def test_averages_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tensors = sedd_tensors()
    few = dict(list(tensors.items())[:-1])
    swapped = {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in tensors.items()}
    for name, averages, told in (
        ("few", few, "be one for each of"),
        ("swapped", swapped, "average 0 in .* must have the shape of vocab_embed.embedding"),
    ):
        with pytest.raises(InputError, match=told):
            load_published(files.write_run(tmp_path / name, nested_config(), tensors, averages), "b")


def test_the_same_tensors_are_the_same_backbone_in_every_file_format(tmp_path: Path) -> None:
    config, tensors = nested_config(dtype="bfloat16"), radd_tensors(torch.float32)
    safe = files.write_hub(tmp_path / "safe", config, tensors)
    torched = files.write_hub(tmp_path / "torch", config, tensors, torch_file=True)
    folders = [safe, torched]
    for prefix in ("module.", "_orig_mod.", "model.", "backbone.", "module.model."):
        folders.append(tmp_path / f"wrapped-{prefix}")
        files.write_hub(folders[-1], config, tensors)
        (folders[-1] / "model.safetensors").unlink()
        named = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
        save_file(named, folders[-1] / "any.safetensors")
    assert len({load_published(folder, "b").fingerprint for folder in folders}) == 1


def test_half_precision_files_are_widened(tmp_path: Path) -> None:
    tensors = {name: tensor.bfloat16() for name, tensor in radd_tensors().items()}
    backbone = load_published(files.write_hub(tmp_path / "half", nested_config(), tensors), "b")
    assert {tensor.dtype for tensor in backbone.tensors().values()} == {torch.float32}


def test_a_torch_file_is_opened_once_and_then_read_from_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files.write_hub(tmp_path / "hub", nested_config(), sedd_tensors(), torch_file=True)
    first = load_published(folder, "b")
    (kept,) = (cache / "published").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", None)  # a second unpickling would fail
        assert load_published(folder, "b").fingerprint == first.fingerprint
    damaged = bytearray(kept.read_bytes())
    damaged[-3] ^= 1
    kept.write_bytes(damaged)
    assert load_published(folder, "b").fingerprint == first.fingerprint
    assert bytes(damaged) != kept.read_bytes()
    other = files.write_hub(tmp_path / "hub", nested_config(length=9), sedd_tensors(), torch_file=True)
    assert load_published(other, "b").config["length"] == 9


class Touch:
    """Unpickled with code, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def damage(tmp_path: Path) -> dict[str, Callable[[Path], object]]:
    """Ways in which a weight file can be wrong, each written over a good one."""
    trap = Touch(tmp_path / "executed")
    good = {"model": radd_tensors()}

    def cut(share: float) -> Callable[[Path], object]:
        def write(path: Path) -> None:
            torch.save(good, path)
            path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

        return write

    return {
        "pickled code": lambda path: torch.save(good | {"callback": trap}, path),
        "pickled code, old format": lambda path: torch.save(
            good | {"callback": trap}, path, _use_new_zipfile_serialization=False
        ),
        "bare pickle": lambda path: path.write_bytes(pickle.dumps(trap)),
        "a whole module": lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "cut in half": cut(0.5),
        "cut at the end": cut(0.99),
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("weights, honestly"),
        "a list": lambda path: torch.save([torch.ones(2)], path),
        "numbers": lambda path: torch.save({"model": {"vocab_embed.embedding": 3}}, path),
        "a tensor for a model": lambda path: torch.save({"model": torch.ones(2)}, path),
        "averages that are none": lambda path: torch.save(good | {"ema": {"decay": 0.9}}, path),
    }


@pytest.mark.parametrize("way", damage(Path()))
def test_damaged_and_foreign_torch_files_are_refused_and_nothing_runs(
    way: str, tmp_path: Path, cache: Path
) -> None:
    folder = files.write_hub(tmp_path / "hub", nested_config(), radd_tensors(), torch_file=True)
    damage(tmp_path)[way](folder / "pytorch_model.bin")
    with pytest.raises(InputError) as refusal:
        load_published(folder, "b")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert "pytorch_model.bin" in str(refusal.value)
    assert not (tmp_path / "executed").exists()
    assert not cache.exists()
    if way.startswith("pickled code"):
        assert "asks for posix.mkdir" in str(refusal.value)


def test_the_trap_would_spring(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Touch(tmp_path / "executed")))
    assert (tmp_path / "executed").is_dir()


def test_a_cut_safetensors_file_is_refused(tmp_path: Path) -> None:
    folder = files.write_hub(tmp_path / "hub", nested_config(), radd_tensors())
    weights = folder / "model.safetensors"
    for size in (0, 4, 100, weights.stat().st_size - 1):
        shutil.copy(weights, tmp_path / "whole")
        weights.write_bytes((tmp_path / "whole").read_bytes()[:size])
        with pytest.raises(InputError, match=r"model\.safetensors must be a whole safetensors file"):
            load_published(folder, "b")
        shutil.copy(tmp_path / "whole", weights)


def test_a_wrong_layout_names_the_first_keys(tmp_path: Path) -> None:
    tensors = files.mdlm_tensors()
    renamed = {name.replace("attn_qkv", "attention.qkv"): tensor for name, tensor in tensors.items()}
    folder = files.write_hub(tmp_path / "renamed", files.flat_config(), renamed)
    told = (
        r"missing \['backbone\.blocks\.0\.attn_qkv\.weight'\], "
        r"unexpected \['backbone\.blocks\.0\.attention\.qkv\.weight'\]"
    )
    with pytest.raises(InputError, match=told):
        load_published(folder, "b")
    bare = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    with pytest.raises(InputError, match=r"missing \['backbone\.blocks.*unexpected \['blocks"):
        load_published(files.write_hub(tmp_path / "bare", files.flat_config(), bare), "b")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"hidden_size": 48},
            r"tensor blocks.0.adaLN_modulation.bias in .* must have shape \(288,\), got \(144,\)",
        ),
        ({"n_blocks": 3}, r"missing \['blocks\.2\..*unexpected none"),
        ({"n_heads": 5}, "model.hidden_size in .* must be a multiple of twice the 5 heads"),
        ({"n_heads": "three"}, "model.n_heads in .* must be an integer, got three"),
        ({"n_heads": None}, "model.n_heads in .* must be given"),
        ({"length": 0}, "model.length in .* must be >= 1, got 0"),
        ({"scale_by_sigma": False}, "model.scale_by_sigma in .* must be true"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        load_published(files.write_hub(tmp_path / "hub", nested_config(**change), sedd_tensors()), "b")


def test_integers_are_no_weights(tmp_path: Path) -> None:
    tensors = radd_tensors() | {"output_layer.linear.bias": torch.zeros(files.V + 1, dtype=torch.int64)}
    with pytest.raises(InputError, match=r"must hold floating-point numbers, got torch.int64"):
        load_published(files.write_hub(tmp_path / "hub", nested_config(), tensors), "b")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"existing folder or file"):
        load_published(tmp_path / "nowhere", "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"must hold one weight file, got none; put model.safetensors"):
        load_published(tmp_path / "empty", "b")
    folder = files.write_hub(tmp_path / "hub", nested_config(), radd_tensors())
    (folder / "config.json").write_text("{not json")
    with pytest.raises(InputError, match=r"config.json must be JSON or plain YAML"):
        load_published(folder, "b")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 768}))
    with pytest.raises(
        InputError,
        match=r"must configure a SEDD uniform, SEDD, RADD, MDLM, Duo, tauLDR network, got hidden_size, model_type",
    ):
        load_published(folder, "b")
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"must hold one of config.json"):
        load_published(folder, "b")
    save_file({"w": torch.ones(1)}, folder / "a.safetensors")
    (folder / "model.safetensors").rename(folder / "b.safetensors")
    with pytest.raises(InputError, match=r"got a.safetensors, b.safetensors; name the file"):
        load_published(folder, "b")


def test_yaml_with_code_is_refused(tmp_path: Path) -> None:
    folder = files.write_hub(tmp_path / "hub", nested_config(), radd_tensors())
    (folder / "config.json").unlink()
    (folder / "config.yaml").write_text(f"a: !!python/object/apply:os.mkdir ['{tmp_path}/executed']")
    with pytest.raises(InputError, match=r"plain YAML"):
        load_published(folder, "b")
    assert not (tmp_path / "executed").exists()


def test_optimiser_state_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": {"w": torch.ones(2)}, "optimizer": {"state": {0: torch.ones(9)}}, "n_iter": 3}, path)
    assert list(read_tensors(path)) == ["w"]
