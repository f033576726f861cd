"""Train a network of pixels to predict clean levels from images at all noise times."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lsd_core.backbones.pixels import FAMILY, PixelBackbone, build_network
from lsd_core.numerics.canonical import derive_seed
from lsd_core.numerics.randomness import Purpose, uniform_grid, uniforms
from lsd_core.processes import Process
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import CPU, DrawBatch, Report, optimise

NUM_TIMES = 256  # the noise is tabulated at the middles of as many equal parts of [0, 1]
LEVEL_DIM = 6


def train_pixels(
    config: TrainConfig,
    process: Process,
    length: int,
    draw: DrawBatch,
    *,
    name: str,
    checkpoint: Path | None = None,
    device: torch.device = CPU,
    report: Report = lambda step, value: None,
    report_every: int = 50,
    labels: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
) -> PixelBackbone:
    """Train a backbone on `draw`; continue from `checkpoint` if that file exists.

    The loss is the mean over t ~ U(0, 1) of the cross-entropy of the clean levels given the noisy image
    (Campbell et al. 2022, Sec. 4.2, the auxiliary term), in nats an image.
    """
    body = {
        "family": FAMILY,
        "process": process.to_dict(),
        "length": length,
        "width": config.dim,
        "num_blocks": config.num_blocks,
        "level_dim": LEVEL_DIM,
        **(labels or {}),
    }
    torch.manual_seed(derive_seed("init", config.seed))
    network = build_network(body).to(device)
    times = (torch.arange(NUM_TIMES, dtype=torch.float64) + 0.5) / NUM_TIMES
    table = torch.stack([process.transition(float(process.noise.sigma_bar(t))) for t in times])
    table = table.clamp(min=1e-30).to(device)  # [time, clean level, level seen]
    times = times.to(device)
    data, noise = derive_seed("data", config.seed), derive_seed("noise", config.seed)

    def batch_loss(step: int) -> Tensor:
        index = torch.arange(config.batch) + step * config.batch
        clean, index = draw(data, index).to(device), index.to(device)
        when = stratified(noise, index)
        seen = corrupt(table, clean, when, noise, index)
        evidence = table.log()[when].gather(2, seen[:, None, :].expand(-1, process.num_states, -1))
        logits = network(seen, times[when]) + evidence.transpose(1, 2).float()
        return F.cross_entropy(logits.flatten(0, 1), clean.flatten(), reduction="sum") / len(clean)

    record = {
        "process": process.to_dict(),
        "length": length,
        **(identity or {}),
        **config.checkpoint_record(),
    }
    optimise(network, config, batch_loss, record, checkpoint, report, report_every)
    return PixelBackbone(name, body, network.to(CPU))


def stratified(seed: int, index: Tensor) -> Tensor:
    """Which tabulated time each image of a batch is seen at: spread evenly over the batch, (b,)."""
    jitter = uniforms(seed, index[:1], 0, torch.zeros_like(index[:1]), Purpose.TIME)
    share = (torch.arange(len(index), dtype=torch.float64, device=index.device) + jitter) / len(index)
    return (share * NUM_TIMES).long().clamp(max=NUM_TIMES - 1)


def corrupt(table: Tensor, clean: Tensor, when: Tensor, seed: int, index: Tensor) -> Tensor:
    """Noisy levels (b, l), each drawn from its row of the transition at its image's time."""
    probs = table[when].gather(1, clean[..., None].expand(-1, -1, table.shape[2]))
    uniform = uniform_grid(seed, index, 0, clean.shape[1], Purpose.PRIOR)
    return draw_categorical(probs.flatten(0, 1), uniform.flatten()).view(clean.shape)
