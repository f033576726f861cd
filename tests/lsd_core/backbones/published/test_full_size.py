"""SEDD small at its published size: 1024 positions, 50258 states, 170 million parameters."""

import math
from pathlib import Path

import pytest
import torch

from lsd_core.backbones.protocol import Backbone, log_score
from lsd_core.backbones.published import load_published
from lsd_core.backbones.storage import build, with_body_dtype
from tests.lsd_core.backbones.published import files
from tests.lsd_core.backbones.published.transformer import Tensors, logits, random_tensors

V, DIM, BLOCKS, HEADS, COND = 50257, 768, 12, 12, 128
CONFIG = files.nested_config(
    hidden_size=DIM, cond_dim=COND, length=1024, n_blocks=BLOCKS, n_heads=HEADS, scale_by_sigma=True
) | {"tokens": V}


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return random_tensors(states=V + 1, dim=DIM, blocks=BLOCKS, heads=HEADS, cond=COND, dtype=torch.float32)


@pytest.fixture(scope="module")
def backbone(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder: Path = files.write_hub(tmp_path_factory.mktemp("sedd-small"), CONFIG, tensors)
    loaded = load_published(folder, "sedd-small")
    (folder / "model.safetensors").unlink()  # 680 MB are not left behind
    return loaded


def test_it_has_the_published_size(backbone: Backbone, tensors: Tensors) -> None:
    assert set(backbone.tensors()) == set(tensors)
    assert sum(tensor.numel() for tensor in tensors.values()) == 169_627_218 + DIM // HEADS // 2
    assert (backbone.length, backbone.process.num_states) == (1024, V + 1)
    assert backbone.config["body_dtype"] == "bfloat16"


@pytest.mark.slow
def test_its_forward_pass_is_the_one_described(backbone: Backbone, tensors: Tensors) -> None:
    gen = torch.Generator().manual_seed(1)
    x = torch.randint(0, V, (1, 16), generator=gen)
    x[0, ::2] = V
    t = torch.tensor([0.6], dtype=torch.float64)
    sigma_bar = -torch.log1p(-(1 - 1e-3) * t)
    described = logits(tensors, x, sigma_bar, HEADS) - torch.log(torch.expm1(sigma_bar)) - math.log(V)
    described = described.scatter(-1, x[..., None], 0.0)[x == V]
    config = backbone.config | {"body_dtype": "float32"}
    single = with_body_dtype(backbone, "float32")
    torch.testing.assert_close(log_score(single, x, t)[x == V], described, rtol=1e-4, atol=1e-4)
    exact = 10_000.0 ** -(torch.arange(DIM // HEADS // 2, dtype=torch.float64) * 2 * HEADS / DIM)
    widened = {name: tensor.double() for name, tensor in tensors.items()} | {"rotary_emb.inv_freq": exact}
    double = build("double", config, widened)
    torch.testing.assert_close(log_score(double, x, t)[x == V], described, rtol=1e-9, atol=1e-9)
