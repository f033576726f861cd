"""Reference statistics of FID: saved ones, or those of a folder of real images, computed once."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.metrics import cifar10_images as cifar10
from lsd_core.metrics.frechet import Moments
from lsd_core.storage.damage import unless_damaged
from lsd_core.storage.home import cache_dir, weights_dir

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
BATCH = 64  # images a look

Look = Callable[[Tensor], Tensor]  # images (n, 3, h, w) uint8 -> features (n, d)


def find_reference(name: str, size: int) -> Path:
    """The reference by its path, or its name in the weights folder; InputError says what it must be."""
    path = weights_dir() / name
    if path.suffix == ".npz" and path.is_file():
        read_statistics(path, size)
    elif not path.is_dir() or not files_of(path):
        remedy = (
            "put statistics (.npz with mu and sigma, as pytorch-fid saves them) or a folder of images there"
        )
        shown = f"no image in {path}" if path.is_dir() else f"nothing at {path}"
        raise InputError("reference of fid", "be statistics or images", shown, remedy)
    return path


def read_statistics(path: Path, size: int) -> Moments:
    """Moments in an .npz file: `mu` (d,) and `sigma` (d, d). Nothing is unpickled."""
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = (torch.from_numpy(file[name]).double() for name in ("mu", "sigma"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise InputError(str(path), "hold mu and sigma", " ".join(str(error).split())[:160]) from None
    if mean.shape != (size,) or covariance.shape != (size, size):
        found = f"{tuple(mean.shape)} and {tuple(covariance.shape)}"
        raise InputError(str(path), f"hold mu ({size},) and sigma ({size}, {size})", found)
    return Moments(mean, covariance)


def moments_of(path: Path, weights: Path, size: int, look: Look) -> Moments:
    """Those of a reference: read, or computed once for these images and weights and kept in the cache."""
    if path.suffix == ".npz":
        return read_statistics(path, size)
    kept = cache_dir() / "references" / f"{_digest([weights, *files_of(path)])}.npz"
    known = unless_damaged(lambda: read_statistics(kept, size), None) if kept.is_file() else None
    if known is not None:
        return known
    moments = Moments.of(torch.cat([look(images) for images in images_of(path)]))
    kept.parent.mkdir(parents=True, exist_ok=True)
    scratch = kept.with_name(f".{uuid.uuid4().hex}.npz")
    np.savez(scratch, mu=moments.mean.numpy(), sigma=moments.covariance.numpy())
    os.replace(scratch, kept)
    return read_statistics(kept, size)


def files_of(folder: Path) -> list[Path]:
    """The images of a folder: the binary version of CIFAR-10 if it is that, else pictures at any depth."""
    binary = [folder / name for name in cifar10.FILES if (folder / name).is_file()]
    return binary or sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def images_of(folder: Path) -> Iterator[UInt8[Tensor, "n 3 h w"]]:
    """The images of a folder in batches of one size each."""
    files = files_of(folder)
    if files[0].suffix == ".bin":
        for path in files:
            images = cifar10.read_batch(path).view(-1, cifar10.CHANNELS, cifar10.SIDE, cifar10.SIDE)
            yield from images.to(torch.uint8).split(BATCH)
        return
    for _, alike in groupby(map(_read, files), key=lambda image: image.shape):
        while part := list(islice(alike, BATCH)):
            yield torch.stack(part)


def _read(path: Path) -> UInt8[Tensor, "3 h w"]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise InputError(str(path), "be an image", " ".join(str(error).split())[:160]) from None


def _digest(files: list[Path]) -> str:
    """Identity of the contents of files, in order."""
    sha = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()[:32]
