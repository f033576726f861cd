"""The training loop: deterministic, resumable, and saying how far it is."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.ddit_backbone import DDiTBackbone, build_network
from lsd_core.canonical import canonical_json, derive_seed
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.training.config import TrainConfig
from lsd_core.training.objective import loss

DrawBatch = Callable[[int, Tensor], Tensor]  # (seed, sequence indices) -> tokens (b, l)
Report = Callable[[int, float], None]  # (steps done, mean loss since the last report)


def train(
    config: TrainConfig,
    process: Absorbing,
    length: int,
    draw: DrawBatch,
    *,
    name: str,
    checkpoint: Path | None = None,
    init: DDiTBackbone | None = None,
    report: Report = lambda step, value: None,
    report_every: int = 50,
) -> DDiTBackbone:
    """Train a backbone on `draw`; continue from `checkpoint` if that file exists.

    Batch i holds the sequences i * batch ... of an endless, seeded list, so a resumed run sees what an
    undisturbed one would have seen. `init` starts from another backbone's weights (another length, say).
    """
    body = {
        "family": config.family,
        "process": process.to_dict(),
        "length": length,
        "dim": config.dim,
        "num_blocks": config.num_blocks,
        "num_heads": config.num_heads,
        "cond_dim": None if config.family == "radd" else config.cond_dim,
        "body_dtype": "bfloat16",
    }
    torch.manual_seed(derive_seed("init", config.seed))
    network = build_network(body)
    initialise(network)
    if init is not None:
        network.load_state_dict(init.tensors())
    average = {key: value.clone() for key, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.0)
    first = 0
    if checkpoint is not None and checkpoint.is_file():
        first = load_checkpoint(checkpoint, config, network, optimiser, average)
    total = 0.0
    for step in range(first, config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step, config)
        index = torch.arange(config.batch) + step * config.batch
        x0 = draw(derive_seed("data", config.seed), index)
        noise = derive_seed("noise", config.seed)
        value = loss(network, config.family, process, x0, noise, index, low_precision=True)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        decay = min(config.ema, (1 + step) / (10 + step))
        for key, tensor in network.state_dict().items():
            average[key].lerp_(tensor, 1 - decay)
        total += float(value.detach())
        if (step + 1) % report_every == 0 or step + 1 == config.steps:
            report(step + 1, total / ((step % report_every) + 1))
            total = 0.0
            if checkpoint is not None and (step + 1) % (10 * report_every) == 0:
                save_checkpoint(checkpoint, config, step + 1, network, optimiser, average)
    network.load_state_dict(average)
    return DDiTBackbone(name, body, network)


def schedule(step: int, config: TrainConfig) -> float:
    """Learning rate as a share of its peak: linear warm-up, then a cosine down to 1%."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return warm * max(0.01, 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def initialise(network: DDiT) -> None:
    """Fan-in normal weights, unit embeddings; the projections that start at zero stay there."""
    for key, parameter in network.named_parameters():
        if key == "vocab_embed.embedding":
            nn.init.normal_(parameter, std=1.0)
        elif key.endswith("attn_out.weight"):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() == 2 and not key.startswith("output_layer") and "adaLN" not in key:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)


def save_checkpoint(
    path: Path,
    config: TrainConfig,
    step: int,
    network: DDiT,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> None:
    """Weights, their average and the optimiser's moments in one safetensors file, replaced whole."""
    tensors = {f"network/{key}": value.clone() for key, value in network.state_dict().items()}
    tensors |= {f"average/{key}": value for key, value in average.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"moment/{index}/{key}": value.clone() for key, value in moments.items()}
    scratch = path.with_suffix(".partial")
    save_file(tensors, scratch, {"step": str(step), "config": canonical_json(config.to_dict())})
    scratch.replace(path)


def load_checkpoint(
    path: Path,
    config: TrainConfig,
    network: DDiT,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
) -> int:
    """Restore what `save_checkpoint` wrote and return the number of steps done."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        if json.loads(metadata["config"]) != config.to_dict():
            raise InputError(
                "checkpoint", "be of the same training configuration", str(path), "remove it to start afresh"
            )
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    network.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("network/")})
    average.update({k[8:]: v for k, v in tensors.items() if k.startswith("average/")})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("moment/"):
            _, index, moment = key.split("/")
            state.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["step"])
