"""Networks of given shapes with random weights: the cost of a step does not depend on the weights."""

from dataclasses import dataclass
from typing import Any

import torch

from flows.bench.figures import Setting
from lsd_core.backbones.ddit_backbone import DDiTBackbone, build_network
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a diffusion transformer."""

    num_tokens: int
    length: int
    dim: int
    num_blocks: int
    num_heads: int
    cond_dim: int = 128


SHAPES: dict[str, Shape] = {
    "sedd-small": Shape(num_tokens=50257, length=1024, dim=768, num_blocks=12, num_heads=12),
    "middle": Shape(num_tokens=8192, length=256, dim=256, num_blocks=4, num_heads=4),
    "countdown": Shape(num_tokens=32, length=64, dim=96, num_blocks=3, num_heads=3, cond_dim=32),
}


def get_shape(name: str) -> Shape:
    """The shape of that name."""
    if name not in SHAPES:
        raise InputError("shape", f"be one of {', '.join(SHAPES)}", name)
    return SHAPES[name]


def random_backbone(
    shape: Shape, family: str, *, body_dtype: str = "float32", device: str = "cpu"
) -> DDiTBackbone:
    """A backbone of this shape whose weights are noise: `sedd` is conditioned on the time, `radd` is not."""
    config: dict[str, Any] = {
        "family": family,
        "process": Absorbing(shape.num_tokens).to_dict(),
        "length": shape.length,
        "dim": shape.dim,
        "num_blocks": shape.num_blocks,
        "num_heads": shape.num_heads,
        "cond_dim": shape.cond_dim if family == "sedd" else None,
        "body_dtype": body_dtype,
    }
    network = build_network(config)
    gen = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.05, generator=gen)
    return DDiTBackbone(f"random-{family}", config, network.to(device))


def network_of(setting: Setting, family: str) -> DDiTBackbone:
    """A random network of the shape, precision and device that a benchmark is run on."""
    shape = get_shape(setting.shape)
    return random_backbone(shape, family, body_dtype=setting.body_dtype, device=setting.device)


def masked_sequences(
    backbone: DDiTBackbone, share: float, *, batch: int = 1, device: str = "cpu", seed: int = 0
) -> torch.Tensor:
    """Random tokens (batch, l), the given share of each sequence masked, at random places."""
    gen = torch.Generator().manual_seed(seed)
    size = (batch, backbone.length)
    x = torch.randint(backbone.process.num_tokens, size, generator=gen)
    rank = torch.rand(size, generator=gen).argsort(1).argsort(1)
    return x.masked_fill(rank < round(share * backbone.length), backbone.process.mask).to(device)
