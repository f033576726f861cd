"""The network of FID and the Inception score: Inception v3 as TensorFlow's graph of 2015-12-05 holds it.

It is not quite the network of that name elsewhere: average pools leave the padding out of the average, the last
block pools by the maximum, and there are 1008 classes. Names are those of the published PyTorch files
(`weights-inception-2015-12-05-6726825d.pth` of torch-fidelity, `pt_inception-2015-12-05-6726825d.pth` of
pytorch-fid). torch-fidelity itself is not used: it opens weights as a pickle that may run anything.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SIDE = 299  # pixels that the network looks at
NUM_FEATURES, NUM_CLASSES = 2048, 1008

Size = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """One convolution of a block."""

    name: str
    width: int
    kernel: Size = (1, 1)
    stride: int = 1


Chain = tuple[Part | tuple[Part, Part], ...]  # one after the other; a pair at the end stands side by side


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; padded so as to keep the size where it does not halve it."""

    def __init__(self, width: int, part: Part, padded: bool = True) -> None:
        super().__init__()
        keeping = padded and part.stride == 1
        padding = (part.kernel[0] // 2, part.kernel[1] // 2) if keeping else 0
        self.conv = nn.Conv2d(width, part.width, part.kernel, part.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(part.width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Chains of convolutions and a pool side by side, their channels one after the other."""

    def __init__(self, width: int, chains: tuple[Chain, ...], pool: str, pool_width: int = 0) -> None:
        """`pool` is `mean`, `maximum` or `half`; a convolution of `pool_width` channels follows, unless it is 0."""
        super().__init__()
        self.chains, self.pool = chains, pool
        self.width = pool_width or width
        for chain in chains:
            inner = width
            for link in chain:
                fork = link if isinstance(link, tuple) else (link,)
                for part in fork:
                    setattr(self, part.name, Convolution(inner, part))
                inner = sum(part.width for part in fork)
            self.width += inner
        self.branch_pool = (
            Convolution(width, Part("branch_pool", pool_width)) if pool_width else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [self._run(chain, x) for chain in self.chains]
        return torch.cat([*found, self.branch_pool(_pooled(x, self.pool))], dim=1)

    def _run(self, chain: Chain, x: Tensor) -> Tensor:
        for link in chain:
            fork = link if isinstance(link, tuple) else (link,)
            x = torch.cat([getattr(self, part.name)(x) for part in fork], dim=1)
        return x


def _pooled(x: Tensor, pool: str) -> Tensor:
    if pool == "mean":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return F.max_pool2d(x, 3, 1, 1) if pool == "maximum" else F.max_pool2d(x, 3, 2)


THREE, WIDE, TALL = (3, 3), (1, 7), (7, 1)


def _block_a(width: int, pooled: int) -> Block:
    fives = (Part("branch5x5_1", 48), Part("branch5x5_2", 64, (5, 5)))
    threes = (Part("branch3x3dbl_1", 64), *(Part(f"branch3x3dbl_{n}", 96, THREE) for n in (2, 3)))
    return Block(width, ((Part("branch1x1", 64),), fives, threes), "mean", pooled)


def _block_b(width: int) -> Block:
    twice = (
        Part("branch3x3dbl_1", 64),
        Part("branch3x3dbl_2", 96, THREE),
        Part("branch3x3dbl_3", 96, THREE, 2),
    )
    return Block(width, ((Part("branch3x3", 384, THREE, 2),), twice), "half")


def _block_c(width: int, inner: int) -> Block:
    once = (Part("branch7x7_1", inner), Part("branch7x7_2", inner, WIDE), Part("branch7x7_3", 192, TALL))
    kernels = ((1, 1), TALL, WIDE, TALL, WIDE)
    widths = (inner, inner, inner, inner, 192)
    twice = tuple(
        Part(f"branch7x7dbl_{n}", out, kernel)
        for n, (out, kernel) in enumerate(zip(widths, kernels, strict=True), start=1)
    )
    return Block(width, ((Part("branch1x1", 192),), once, twice), "mean", 192)


def _block_d(width: int) -> Block:
    threes = (Part("branch3x3_1", 192), Part("branch3x3_2", 320, THREE, 2))
    sevens = (
        Part("branch7x7x3_1", 192),
        Part("branch7x7x3_2", 192, WIDE),
        Part("branch7x7x3_3", 192, TALL),
        Part("branch7x7x3_4", 192, THREE, 2),
    )
    return Block(width, (threes, sevens), "half")


def _block_e(width: int, pool: str) -> Block:
    def fork(name: str) -> tuple[Part, Part]:
        return Part(f"{name}a", 384, (1, 3)), Part(f"{name}b", 384, (3, 1))

    once = (Part("branch3x3_1", 384), fork("branch3x3_2"))
    twice = (Part("branch3x3dbl_1", 448), Part("branch3x3dbl_2", 384, THREE), fork("branch3x3dbl_3"))
    return Block(width, ((Part("branch1x1", 320),), once, twice), pool, 192)


class Inception(nn.Module):
    """Images (n, 3, h, w), levels 0 ... 255 -> features (n, 2048); `classes` reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, Part("", 32, THREE, 2))
        self.Conv2d_2a_3x3 = Convolution(32, Part("", 32, THREE), padded=False)
        self.Conv2d_2b_3x3 = Convolution(32, Part("", 64, THREE))
        self.Conv2d_3b_1x1 = Convolution(64, Part("", 80))
        self.Conv2d_4a_3x3 = Convolution(80, Part("", 192, THREE), padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _block_a(192, 32), _block_a(256, 64), _block_a(288, 64)
        self.Mixed_6a = _block_b(288)
        self.Mixed_6b, self.Mixed_6c = _block_c(768, 128), _block_c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _block_c(768, 160), _block_c(768, 192)
        self.Mixed_7a = _block_d(768)
        self.Mixed_7b, self.Mixed_7c = _block_e(1280, "mean"), _block_e(2048, "maximum")
        self.fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2048"]:
        x = (resized(images) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{name}")(x)
        return x.mean(dim=(2, 3))

    def classes(self, features: Float[Tensor, "n 2048"]) -> Float[Tensor, "n 1008"]:
        """Logits without their bias, as the published code of the Inception score takes them."""
        return features @ self.fc.weight.T


def resized(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 299 299"]:
    """Bilinear, as TensorFlow 1 does it: pixel i comes from i * size / 299, with no half pixel anywhere."""
    rows, columns = (_stretch(size).to(images) for size in images.shape[-2:])
    return rows @ images @ columns.T


def _stretch(size: int) -> Float[Tensor, "299 size"]:
    """Row i holds the weights of the two pixels that the new pixel i lies between."""
    place = torch.arange(SIDE, dtype=torch.float64) * size / SIDE
    low = place.floor().long()
    part = (place - low)[:, None]
    eye = torch.eye(size, dtype=torch.float64)
    return (1 - part) * eye[low] + part * eye[(low + 1).clamp(max=size - 1)]
