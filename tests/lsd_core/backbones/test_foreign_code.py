"""Configurations by which transformers would fetch and run code, or load an adapter, are refused unread."""

import json
from pathlib import Path
from typing import Any

import pytest

from lsd_core.backbones import diffusion_lm, masked_lm
from lsd_core.errors import InputError
from lsd_core.metrics.judges.causal_judge import load_judge

transformers = pytest.importorskip("transformers")
KERNEL = "somebody/kernels"
SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
    "vocab_size": 8,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kernels that transformers was about to fetch and run."""
    found = list[str]()

    def fetch(name: str, *_: object, **__: object) -> None:
        if name not in ("eager", "sdpa"):
            found.append(name)
            raise ImportError(f"no kernel {name}")

    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", fetch)
    return found


def test_transformers_would_fetch_what_a_configuration_names(asked: list[str]) -> None:
    """Else the tests below show nothing."""
    config = transformers.BertConfig.from_dict(SIZES | {"_attn_implementation": KERNEL})
    with pytest.raises(ImportError):
        transformers.BertForMaskedLM(config)
    assert asked == [KERNEL]


CALLS: list[dict[str, Any]] = [
    {"_attn_implementation": KERNEL},
    {"attn_implementation": KERNEL},
    {"attn_implementation": {"": KERNEL}},
    {"text_config": {"_attn_implementation": KERNEL}},
    {"per_layer_config": [{"attn_implementation": KERNEL}]},
    {"_attn_implementation": "flash_attention_2"},
]


@pytest.mark.parametrize("fields", CALLS)
@pytest.mark.parametrize("build", [masked_lm.build, diffusion_lm.LLADA.build], ids=["masked-lm", "llada"])
def test_a_stored_network_names_no_code(build: Any, fields: dict[str, Any], asked: list[str]) -> None:
    config = {
        "family": "masked-lm",
        "architecture": "BertForMaskedLM",
        "network": SIZES | fields,
        "body_dtype": "float32",
    }
    with pytest.raises(InputError, match="n_implementation in backbone net must be one of eager, sdpa"):
        build("net", config, {})
    assert asked == []


@pytest.mark.parametrize("fields", CALLS[:2])
@pytest.mark.parametrize("read", [lambda folder: masked_lm.load(folder, "net", {}), load_judge])
def test_a_folder_names_no_code(read: Any, fields: dict[str, Any], tmp_path: Path, asked: list[str]) -> None:
    record = {"model_type": "bert", "architectures": ["BertForMaskedLM"]} | SIZES | fields
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"n_implementation in .*config\.json must be one of"):
        read(tmp_path)
    assert asked == []


@pytest.mark.parametrize("name", ["quantization_config", "compression_config"])
@pytest.mark.parametrize("read", [lambda folder: masked_lm.load(folder, "net", {}), load_judge])
def test_no_quantizer_is_chosen_by_a_folder(
    read: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(*_: object, **__: object) -> None:
        raise AssertionError("transformers looks for a quantizer")

    monkeypatch.setattr("transformers.quantizers.auto.AutoHfQuantizer.from_config", chosen)
    monkeypatch.setattr("transformers.modeling_utils.get_hf_quantizer", chosen)
    record = {"model_type": "bert", "architectures": ["BertForMaskedLM"]} | SIZES
    (tmp_path / "config.json").write_text(json.dumps(record | {name: {"quant_method": "mxfp4"}}))
    with pytest.raises(InputError, match=rf"{name} in .*config\.json must be left out"):
        read(tmp_path)


@pytest.mark.parametrize("read", [lambda folder: masked_lm.load(folder, "net", {}), load_judge])
def test_an_adapter_is_not_loaded(read: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SIZES | {"architectures": ["BertForMaskedLM"]}))
    (tmp_path / "adapter_config.json").write_text('{"megatron_config": {}, "megatron_core": "antigravity"}')
    with pytest.raises(InputError, match=r"must hold whole weights, got adapter_config\.json"):
        read(tmp_path)
