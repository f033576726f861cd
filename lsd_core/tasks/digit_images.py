"""Handwritten digits: the 1797 images of 8 x 8 pixels and 17 levels that scikit-learn carries.

Half of them train backbones, a third the judge, and the rest are what samples are compared with. An image's
part follows from its own pixels, so equal images are never on two sides.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import drawn_index
from lsd_core.processes import Exponential, Gaussian, Geometric, Process, Uniform

SIDE, NUM_LEVELS, NUM_LABELS = 8, 17, 10
LENGTH = SIDE * SIDE
NUM_BUCKETS = 6
PARTS = {"backbone": range(3), "judge": range(3, 5), "reference": range(5, 6)}
PROCESSES: dict[str, Process] = {
    # A jump of grey levels goes about as far, relative to their number, as tauLDR's; all is mixed by t = 1.
    "gaussian": Gaussian(NUM_LEVELS, Exponential(0.03, 1000.0), rate_sigma=2.0, prior_sigma=34.0),
    "uniform": Uniform(NUM_LEVELS, Geometric(1e-3, 8.0)),
}


@dataclass(frozen=True, eq=False)
class Images:
    """Images row by row, (n, 64) levels, and what they show, (n,)."""

    pixels: Int[Tensor, "n l"]
    labels: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.pixels.to(torch.uint8).numpy().tobytes()).hexdigest()

    def draw(self, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """Images drawn with replacement: functions of (seed, trajectory)."""
        return self.pixels[self.rows(seed, trajectory)]

    def rows(self, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """Which images `draw` takes."""
        return drawn_index(seed, trajectory, len(self))


@cache
def load_images(part: str) -> Images:
    """One of PARTS; needs the extra [images]."""
    if part not in PARTS:
        raise InputError("part", f"be one of {', '.join(PARTS)}", part)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        remedy = "pip install 'lsd-samplers[images]' -c constraints.txt"
        raise InputError("digits", "have scikit-learn installed for their images", "none", remedy) from None
    read = load_digits()
    pixels, labels = torch.tensor(read.data).long(), torch.tensor(read.target).long()
    chosen = torch.tensor([_bucket(row) in PARTS[part] for row in pixels])
    return Images(pixels[chosen], labels[chosen])


def _bucket(pixels: Tensor) -> int:
    digest = hashlib.sha256(pixels.to(torch.uint8).numpy().tobytes()).digest()
    return int.from_bytes(digest[:8], "big") % NUM_BUCKETS
