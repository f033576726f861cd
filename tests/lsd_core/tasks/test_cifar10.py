"""CIFAR-10 images are compared with the real ones tile by tile, from files in which nothing is executed."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.published import load_published
from lsd_core.backbones.tauldr import TauLDR
from lsd_core.errors import InputError
from lsd_core.metrics.frechet import Moments, frechet
from lsd_core.tasks import cifar10
from lsd_core.tasks.catalog import get_task, task_of
from lsd_core.tasks.specimen import Picture
from tests.lsd_core.backbones.published import images


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSD_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "weights"


def pictures(num: int, seed: int, noise: float = 20.0) -> Tensor:
    """Smooth colour images with a little noise, (n, 3072)."""
    gen = torch.Generator().manual_seed(seed)
    coarse = torch.rand(num, 3, 4, 4, generator=gen) * 200
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return (smooth + noise * torch.randn(smooth.shape, generator=gen)).clamp(0, 255).long().flatten(1)


def write_images(weights: Path) -> Tensor:
    """The five binary files, 100 images each."""
    real = pictures(500, seed=0)
    folder = weights / cifar10.FOLDER
    folder.mkdir(parents=True)
    for name, rows in zip(cifar10.FILES, real.split(100), strict=True):
        records = torch.cat([torch.full((100, 1), 7), rows], dim=1)
        (folder / name).write_bytes(bytes(records.flatten().tolist()))
    return real


def test_binary_files_are_read_back(weights: Path) -> None:
    real = write_images(weights)
    assert torch.equal(cifar10.read_batch(weights / cifar10.FOLDER / cifar10.FILES[1]), real[100:200])


def test_tiles_are_means_and_spreads() -> None:
    image = torch.zeros(1, 3, 32, 32, dtype=torch.long)
    image[0, 1, 4:8, 8:12] = 255  # one whole tile
    image[0, 2, 0, 0] = 255  # one pixel of another
    features = cifar10.tile_features(image.flatten(1))[0].view(2, 3, 8, 8)
    assert float(features[0, 1, 1, 2]) == 1.0
    assert float(features[1, 1, 1, 2]) == 0.0
    assert float(features[0, 2, 0, 0]) == pytest.approx(1 / 16)
    assert float(features[1, 2, 0, 0]) == pytest.approx((15**0.5) / 16)
    assert float(features.abs().sum()) == pytest.approx(1 + 1 / 16 + 15**0.5 / 16)


def test_the_primary_metric_is_the_distance_and_tells_images_apart(weights: Path) -> None:
    anyone = load_backbone("countdown-gaussian-exact")  # whose samples they are does not matter
    real = write_images(weights)
    task = get_task("cifar10")
    near = task.evaluate(pictures(400, seed=1), anyone, 0)
    far = task.evaluate(pictures(400, seed=1, noise=60.0), anyone, 0)
    expected = frechet(
        Moments.of(cifar10.tile_features(pictures(400, seed=1))), Moments.of(cifar10.tile_features(real))
    )
    assert float(near.primary.mean()) == pytest.approx(expected)
    assert near.metrics["frechet_tiles"] < far.metrics["frechet_tiles"] / 2
    assert task.diversity in near.metrics


def test_samples_of_the_network_are_images_of_the_task(weights: Path) -> None:
    """The published sizes of image and levels, on a small network."""
    config = images.config(ch=8, ch_mult=[1, 1], num_scales=2, data_min_max=[0, 255])
    config["data"] |= {"S": 256, "shape": [3, 32, 32]}
    tensors = images.random_tensors_of([1, 1], torch.float32)
    file = images.write(weights / "run", config, tensors)
    backbone = load_published(file, "cifar10-ctmc")
    assert isinstance(backbone, TauLDR)
    assert task_of(backbone) == "cifar10"
    with pytest.raises(InputError, match=r"lie in .*cifar-10-batches-bin, got no data_batch_1.bin; download"):
        cifar10.check(backbone)
    write_images(weights)
    cifar10.check(backbone)
    (shown,) = cifar10.show(pictures(1, seed=2), backbone)
    assert isinstance(shown, Picture)
    assert len(shown.pixels) == 3072
    assert shown.pixels[:3] == bytes(pictures(1, seed=2).view(3, 32, 32)[:, 0, 0].tolist())


def test_missing_weights_and_foreign_files_are_said(weights: Path) -> None:
    load_backbone.cache_clear()
    with pytest.raises(
        InputError, match=r"download ckpt_0001999999\.pt and config_001\.yaml .* put both into"
    ):
        load_backbone("cifar10-ctmc")
    weights.mkdir()
    (weights / "short.bin").write_bytes(b"abc")
    with pytest.raises(InputError, match="must hold records of 3073 bytes"):
        cifar10.read_batch(weights / "short.bin")
