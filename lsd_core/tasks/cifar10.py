"""CIFAR-10: 32 x 32 colour images, compared with the real ones at a coarse look.

Features of an image: the mean colour of each of its 8 x 8 tiles, and how far the pixels of a tile stray from it.
The Frechet distance of these 384 numbers from those of the 50000 training images needs no network, hence no
judge's weights; it sees composition, colour and noise, not objects. It is not FID, whose values are of another
scale, and only distances of equally many images compare.
"""

from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.cifar10_images import CHANNELS, FILES, LENGTH, SIDE, read_batch
from lsd_core.metrics.frechet import Moments, pseudo_values
from lsd_core.metrics.scores import Scores
from lsd_core.storage.home import weights_dir
from lsd_core.tasks.specimen import Picture, Specimen
from lsd_core.tasks.task import Task

LEVELS, TILE = 256, 4
JUDGE = "cifar10-tiles-v1"
FOLDER = "cifar-10-batches-bin"


def evaluate(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Frechet distance of the tiles' features, and the entropy of the levels."""
    values = pseudo_values(tile_features(tokens), reference(weights_dir() / FOLDER))
    metrics = {"frechet_tiles": float(values.mean()), "unigram_entropy": entropy.unigram_entropy(tokens)}
    return Scores(primary=values.numpy(), metrics=metrics)


def tile_features(tokens: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
    """Mean and standard deviation of each 4 x 4 tile of each colour, levels 0 ... 1, float64."""
    across = SIDE // TILE
    images = tokens.double().view(-1, CHANNELS, across, TILE, across, TILE) / (LEVELS - 1)
    tiles = images.permute(0, 1, 2, 4, 3, 5).flatten(-2)
    return torch.cat([tiles.mean(-1).flatten(1), tiles.std(-1, correction=0).flatten(1)], dim=1)


@cache
def reference(folder: Path) -> Moments:
    """Moments of the features of the images in the binary version of CIFAR-10."""
    return Moments.of(torch.cat([tile_features(read_batch(folder / name)) for name in FILES]))


def check(backbone: AnyBackbone) -> None:
    """Raise InputError, before any work, where the images or the right shape are missing."""
    shape = (backbone.length, backbone.process.num_tokens)
    if shape != (LENGTH, LEVELS):
        rule = f"draw {LENGTH} pixels of {LEVELS} levels for the task `cifar10`"
        raise InputError(f"backbone {backbone.name}", rule, f"{shape[0]} of {shape[1]}")
    folder = weights_dir() / FOLDER
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        remedy = f"download the binary version of CIFAR-10 and unpack it, so that {folder / FILES[0]} exists"
        raise InputError("images to compare with", f"lie in {folder}", f"no {missing[0]}", remedy)


def show(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A colour picture an image."""
    rows = tokens.view(-1, CHANNELS, SIDE, SIDE).permute(0, 2, 3, 1).flatten(1)
    return [Picture(SIDE, SIDE, CHANNELS, bytes(row)) for row in rows.tolist()]


TASK = Task(
    name="cifar10",
    primary="frechet_tiles",
    diversity="unigram_entropy",
    judge=JUDGE,
    evaluate=evaluate,
    check=check,
    show=show,
)
