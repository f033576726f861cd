"""A small network for images under uniform or gaussian noise: it predicts the clean level of every pixel.

The distribution of a clean pixel given the whole noisy image is, by Bayes' rule, what the other pixels say of it times
the chance that it became what is seen. The second factor is the process's own transition and known exactly;
the network only learns the first, and so is sharp wherever there is little noise.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lsd_core.backbones.family import Family
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.scores import scores_at_times
from lsd_core.errors import InputError
from lsd_core.processes import Process, process_from_dict
from lsd_core.storage.tensorfile import check_tensors

FAMILY = "pixel_mlp"
CONFIG_KEYS = {"family", "process", "length", "width", "num_blocks", "level_dim"}
OPTIONAL_KEYS = {"task", "picture"}
TIME_FEATURES = 32  # sines and cosines of the time


class Residual(nn.Module):
    """x + MLP(norm(x) + embedding of the time)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.time = nn.Linear(TIME_FEATURES, width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(self.norm(x) + self.time(time))))


class PixelMLP(nn.Module):
    """Levels (b, l) at times (b,) -> logits (b, l, V) of what the other pixels say about each."""

    def __init__(self, *, num_levels: int, length: int, width: int, num_blocks: int, level_dim: int) -> None:
        super().__init__()
        self.length, self.level_dim = length, level_dim
        self.levels = nn.Embedding(num_levels, level_dim)
        self.enter = nn.Linear(length * level_dim, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, length * 2 * level_dim)
        self.head = nn.Linear(3 * level_dim, num_levels)

    def forward(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
        time = sinusoid(t)
        seen = self.levels(x)
        h = self.enter(seen.flatten(1))
        for block in self.blocks:
            h = block(h, time)
        own = self.leave(F.silu(self.norm(h))).view(len(x), self.length, 2 * self.level_dim)
        return self.head(torch.cat([own, seen], dim=-1))


def sinusoid(t: Float[Tensor, " b"]) -> Float[Tensor, "b f"]:
    """Sines and cosines of t at octaves from half a turn upwards, float32."""
    turns = 2.0 ** torch.arange(TIME_FEATURES // 2, device=t.device) / 2
    turns = turns.clamp(max=64.0)
    angle = 2 * math.pi * t.float()[:, None] * turns
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PixelBackbone(FrozenNetwork[PixelMLP]):
    """A frozen PixelMLP with its process."""

    family = FAMILY

    def __init__(self, name: str, config: dict[str, Any], network: PixelMLP) -> None:
        super().__init__(name, config, network)
        self.process: Process = process_from_dict(config["process"])

    def x0_probs(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
        """p(x0_i = z | x_t), float64. One network call."""
        return self.x0_logits(x, t).softmax(-1)

    def x0_logits(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
        """Its logarithm up to a constant: the network's logits plus the log-chance of what is seen."""
        evidence = torch.empty(*x.shape, self.process.num_states, dtype=torch.float64, device=x.device)
        for time in t.unique():
            chains = t == time
            reached = self.process.transition_into(x[chains], float(self.process.noise.sigma_bar(time)))
            evidence[chains] = reached.clamp(min=1e-30).log()
        return self.network(x, t).double() + evidence

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
        """Concrete scores, from the clean pixels' distributions. One network call."""
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)


def build_network(config: dict[str, Any]) -> PixelMLP:
    """An untrained network of the configured size."""
    if set(config) - OPTIONAL_KEYS != CONFIG_KEYS:
        raise InputError("backbone config", f"have the keys {sorted(CONFIG_KEYS)}", sorted(config))
    process = process_from_dict(config["process"])
    if config["process"]["kind"] == "absorbing":
        raise InputError("backbone config.process", "be uniform or gaussian", "absorbing")
    return PixelMLP(
        num_levels=process.num_states,
        length=config["length"],
        width=config["width"],
        num_blocks=config["num_blocks"],
        level_dim=config["level_dim"],
    )


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> PixelBackbone:
    """The backbone with these tensors; a wrong layout names the first missing and unexpected keys."""
    with torch.device(
        "meta"
    ):  # its names and shapes alone: no memory for sizes that are not those of the tensors
        named = build_network(config).state_dict()
    check_tensors(f"a {FAMILY} network", tensors, named)
    network = build_network(config)
    network.load_state_dict(tensors)
    return PixelBackbone(name, config, network)


PIXEL_MLP = Family(name=FAMILY, build=build)
