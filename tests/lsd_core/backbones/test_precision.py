"""What ships runs in float32, cards of its earlier bfloat16 keep their network, and a slow type is said once."""

import logging
from importlib import resources
from pathlib import Path

import pytest
import torch

from lsd_core.backbones import precision, storage
from lsd_core.backbones.catalog import BACKBONES, addresses_of, load_backbone
from lsd_core.backbones.precision import has_kernels, product_cost, warn_if_slow
from lsd_core.backbones.publish import find
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.storage.store import Store

TRANSFORMERS = [name for name, entry in BACKBONES.items() if entry.earlier]


def stored(name: str) -> bytes:
    """The shipped file."""
    return resources.files("lsd_core.backbones").joinpath("weights", f"{name}.safetensors").read_bytes()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_shipped_network_runs_in_float32_and_its_earlier_cards_find_the_file_as_it_is(
    name: str, tmp_path: Path
) -> None:
    file = storage.from_bytes(stored(name), name)
    shipped, earlier = (load_backbone(address) for address in addresses_of(name))
    assert (shipped.config["body_dtype"], file.config["body_dtype"]) == ("float32", "bfloat16")
    assert earlier.fingerprint == file.fingerprint != shipped.fingerprint
    empty = Store(str(tmp_path / "empty"))
    for backbone in (shipped, earlier):
        assert find(name, backbone.fingerprint, empty) is backbone
    with pytest.raises(InputError, match="hold backbone"):
        find(name, "0" * 64, empty)
    specs = [
        teacher_spec(b, method="exact", steps=None, batch=4, shard_rows=4, seed=0) for b in (shipped, earlier)
    ]
    assert [spec.dtype for spec in specs] == ["float32", "bfloat16"]
    assert len({canonical_json(spec.to_dict()) for spec in specs}) == 2


@torch.inference_mode()
def test_both_precisions_give_the_same_law_within_bfloat16_s_rounding() -> None:
    shipped, earlier = (load_backbone(address) for address in addresses_of("countdown"))
    x, t = torch.full((4, 64), shipped.process.num_tokens), torch.full((4,), 0.5, dtype=torch.float64)
    x[:, ::3] = torch.arange(22) % 32
    single, half = (b.head(b.features(x, t).flatten(0, 1)).softmax(-1) for b in (shipped, earlier))
    assert 0 < float((single - half).abs().max()) < 0.1


def test_a_slow_type_is_said_once_with_its_cost_and_its_remedy(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_kernels", lambda dtype: dtype == torch.float16)
    monkeypatch.setattr(precision, "product_cost", lambda dtype: 28.3)
    warn_if_slow.cache_clear()
    network, x = load_backbone("countdown?body_dtype=bfloat16"), torch.zeros(1, 64, dtype=torch.long)
    with caplog.at_level(logging.WARNING):
        for address in ("countdown", "countdown?body_dtype=float16"):
            load_backbone(address).features(x, torch.ones(1, dtype=torch.float64))
        assert caplog.messages == []
        for _ in range(2):
            network.features(x, torch.ones(1, dtype=torch.float64))
    warn_if_slow.cache_clear()
    (message,) = caplog.messages
    assert "no bfloat16 kernels" in message
    assert "28 times" in message
    assert "?body_dtype=float32" in message


def test_a_type_that_is_not_slow_is_not_spoken_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_kernels", lambda dtype: False)
    monkeypatch.setattr(precision, "product_cost", lambda dtype: 1.5)
    warn_if_slow.cache_clear()
    with caplog.at_level(logging.WARNING):
        warn_if_slow("bfloat16")
    warn_if_slow.cache_clear()
    assert caplog.messages == []


def test_products_cost_little_where_there_are_kernels() -> None:
    assert has_kernels(torch.float32)
    assert product_cost(torch.float32) == pytest.approx(1, rel=0.5)
    if has_kernels(torch.bfloat16):
        assert product_cost(torch.bfloat16) < 4
    else:
        assert product_cost(torch.bfloat16) > 1
