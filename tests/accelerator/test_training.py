"""On a GPU a network learns what it learns on a CPU, up to rounding, and either continues what the other began."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.device import device_of
from lsd_core.backbones.pixels import PixelBackbone
from lsd_core.processes import Absorbing, Uniform
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import CPU, Report, train
from lsd_core.training.pixels import train_pixels

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

CUDA = torch.device("cuda")
FAMILIES = [
    ("radd", "muon", "float32"),
    ("radd", "adamw", "bfloat16"),
    ("sedd", "adamw", "float32"),
    ("uniform", "adamw", "float32"),
]


def draw(seed: int, index: Tensor) -> Tensor:
    return draw_sequences(seed, index, 6, 4)


def trained(
    kind: tuple[str, str, str],
    device: torch.device,
    report: Report = lambda step, value: None,
    checkpoint: Path | None = None,
) -> DDiTBackbone | PixelBackbone:
    family, optimiser, body_dtype = kind
    size = {"dim": 16, "num_blocks": 1, "num_heads": 2, "cond_dim": 8}
    config = TrainConfig(
        family=family,
        **size,
        steps=60,
        batch=16,
        warmup=5,
        lr=3e-3,
        optimiser=optimiser,
        body_dtype=body_dtype,
    )
    shared = {"name": "n", "device": device, "report": report, "report_every": 2, "checkpoint": checkpoint}
    if family == "uniform":
        return train_pixels(config, Uniform(4), 6, draw, **shared)
    return train(config, Absorbing(4), 6, draw, **shared)


@pytest.mark.parametrize("kind", FAMILIES, ids="-".join)
def test_losses_are_those_of_the_cpu(kind: tuple[str, str, str]) -> None:
    curves: dict[str, list[float]] = {"cpu": [], "cuda": []}
    for device in (CPU, CUDA):
        network = trained(kind, device, lambda _, value, of=curves[device.type]: of.append(value))
        assert device_of(network) == CPU
    assert curves["cuda"] == pytest.approx(curves["cpu"], rel=0.05 if "bfloat16" in kind else 0.01)


@pytest.mark.parametrize("devices", [(CUDA, CPU), (CPU, CUDA)], ids=["from the GPU", "from the CPU"])
def test_a_checkpoint_is_continued_on_another_device(
    devices: tuple[torch.device, torch.device], tmp_path: Path
) -> None:
    path, steps = tmp_path / "run.checkpoint", []

    def stop(step: int, value: float) -> None:
        if step == 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(FAMILIES[0], devices[0], stop, path)
    trained(FAMILIES[0], devices[1], lambda step, _: steps.append(step), path)
    assert steps[0] == 22
