"""Training loop: deterministic and resumable, with progress."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.ddit_backbone import DDiTBackbone, build_network
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.processes import Absorbing
from lsd_core.training.checkpoint import load_checkpoint, save_checkpoint
from lsd_core.training.config import TrainConfig
from lsd_core.training.objective import loss
from lsd_core.training.optimisers import build_optimisers
from lsd_core.training.start import start_from

DrawBatch = Callable[[int, Tensor], Tensor]  # (seed, sequence indices) -> tokens (b, l)
Report = Callable[[int, float], None]  # (steps done, mean loss since the last report)
CHECKPOINT_EVERY = 10  # reports
CPU = torch.device("cpu")


def train(
    config: TrainConfig,
    process: Absorbing,
    length: int,
    draw: DrawBatch,
    *,
    name: str,
    checkpoint: Path | None = None,
    init: DDiTBackbone | None = None,
    device: torch.device = CPU,
    report: Report = lambda step, value: None,
    report_every: int = 50,
    labels: Mapping[str, Any] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> DDiTBackbone:
    """Train a backbone on `draw`; continue from `checkpoint` if that file exists.

    Batch i holds the sequences i * batch ... of an endless, seeded list, so a resumed run sees what an
    undisturbed one would have seen. `init` starts from another backbone's weights (`start.start_from`).
    `labels` are what its configuration says besides: its task, its vocabulary. `identity` tells the data from
    other data, so that a checkpoint is not continued on those. On an accelerator sequences and masks are the same, the
    rounding is not; a checkpoint may be continued on another device. The backbone that is returned lies on the CPU.
    """
    body = {
        "family": config.family,
        "process": process.to_dict(),
        "length": length,
        "dim": config.dim,
        "num_blocks": config.num_blocks,
        "num_heads": config.num_heads,
        "cond_dim": None if config.family == "radd" else config.cond_dim,
        "body_dtype": config.body_dtype,
        **({"position_embedding": True} if config.position_embedding else {}),
        **(labels or {}),
    }
    torch.manual_seed(derive_seed("init", config.seed))
    network = build_network(body)
    initialise(network)
    if init is not None:
        start_from(network, init)
    network.to(device)
    low = getattr(torch, config.body_dtype)
    data, noise = derive_seed("data", config.seed), derive_seed("noise", config.seed)

    def batch_loss(step: int) -> Tensor:
        index = torch.arange(config.batch) + step * config.batch
        x0 = draw(data, index).to(device)
        with attention(device, low):
            return loss(network, config.family, process, x0, noise, index.to(device), body_dtype=low)

    record = {
        "process": process.to_dict(),
        "length": length,
        **(identity or {}),
        **config.checkpoint_record(),
    }
    optimise(network, config, batch_loss, record, checkpoint, report, report_every)
    return DDiTBackbone(name, body, network.to(CPU))


def optimise(
    network: nn.Module,
    config: TrainConfig,
    batch_loss: Callable[[int], Tensor],
    record: dict[str, Any],
    checkpoint: Path | None,
    report: Report,
    report_every: int,
) -> None:
    """Minimise `batch_loss(step)` over the network's parameters, and leave their moving average in it.

    `record` says all that the training depends on: a checkpoint of another one is refused.
    """
    average = {key: value.clone() for key, value in network.state_dict().items()}
    optimisers = build_optimisers(network, config)
    first = 0
    if checkpoint is not None and checkpoint.is_file():
        first = _resume(checkpoint, record, network, average, optimisers)
    total = 0.0
    for step in range(first, config.steps):
        for group in (group for of in optimisers for group in of.param_groups):
            group["lr"] = config.lr * schedule(step, config)
        value = batch_loss(step)
        network.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for of in optimisers:
            of.step()
        decay = min(config.ema, (1 + step) / (10 + step))
        for key, tensor in network.state_dict().items():
            average[key].lerp_(tensor, 1 - decay)
        total += float(value.detach())
        if (step + 1) % report_every == 0 or step + 1 == config.steps:
            if not math.isfinite(total):
                raise InputError("loss", "stay a number", f"{total} at step {step + 1}", "lower lr")
            report(step + 1, total / ((step % report_every) + 1))
            total = 0.0
            if checkpoint is not None and (step + 1) % (CHECKPOINT_EVERY * report_every) == 0:
                groups = {"network": network.state_dict(), "average": average}
                save_checkpoint(checkpoint, record, step + 1, optimisers, groups)
    network.load_state_dict(average)


def attention(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Plain products where the backward pass of the fused kernel is slow: in bfloat16 on a CPU."""
    plain = device.type == "cpu" and dtype == torch.bfloat16
    return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()


def schedule(step: int, config: TrainConfig) -> float:
    """Learning rate as a share of its peak: linear warm-up, then a cosine down to 1%."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return warm * max(0.01, 0.5 * (1 + math.cos(math.pi * step / config.steps)))


def initialise(network: DDiT) -> None:
    """Fan-in normal weights, unit embeddings; the projections that start at zero stay there."""
    for key, parameter in network.named_parameters():
        if key in ("vocab_embed.embedding", "position_embed.embedding"):
            nn.init.normal_(parameter, std=1.0)
        elif key.endswith("attn_out.weight"):
            nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() == 2 and not key.startswith("output_layer") and "adaLN" not in key:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)


def _resume(
    checkpoint: Path,
    record: dict[str, Any],
    network: nn.Module,
    average: dict[str, Tensor],
    optimisers: list[torch.optim.Optimizer],
) -> int:
    """Put a checkpoint's weights, averages and moments in place, and return how many steps are done."""
    like = {"network": network.state_dict(), "average": average}
    first, groups = load_checkpoint(checkpoint, record, optimisers, like)
    network.load_state_dict(groups["network"])
    for key, value in groups["average"].items():
        average[key].copy_(value)
    return first
