"""What MOSES compares with: ChemNet's moments, fragments and scaffolds of its two test sets.

They ship as one file, since half an hour of a core goes into them: `python -m lsd_core.metrics.molecules.reference
FILE` computes it. The names of fragments and scaffolds are kept as hashes, for only equality counts.
"""

import hashlib
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lsd_core.metrics.frechet import Moments
from lsd_core.metrics.molecules import chemnet, moses
from lsd_core.metrics.molecules.parsing import parse, valid
from lsd_core.metrics.molecules.pieces import fragments, scaffolds
from lsd_core.storage.tensorfile import TensorFile

TEST_SETS = ("test", "test_scaffolds")
NAME = "moses-reference"
BLOCK = 4096  # molecules


@dataclass(frozen=True, eq=False)
class Reference:
    """Statistics of a set of molecules."""

    moments: Moments
    """Of ChemNet's features (512)."""
    fragments: dict[int, int]
    """Counts by `hashed` name, as are those of scaffolds."""
    scaffolds: dict[int, int]

    def to_tensors(self, part: str) -> dict[str, Tensor]:
        """As they are kept: moments in float32, of the covariance what stands on and above the diagonal."""
        upper = torch.triu_indices(chemnet.WIDTH, chemnet.WIDTH).unbind()
        found = {
            f"{part}.mean": self.moments.mean.float(),
            f"{part}.covariance": self.moments.covariance[upper].float(),
        }
        for name, counts in (("fragments", self.fragments), ("scaffolds", self.scaffolds)):
            keys = sorted(counts)
            found[f"{part}.{name}"] = torch.tensor(keys, dtype=torch.int64)
            found[f"{part}.{name}.counts"] = torch.tensor([counts[key] for key in keys], dtype=torch.int32)
        return found

    @staticmethod
    def of_tensors(part: str, tensors: dict[str, Tensor]) -> "Reference":
        """What `to_tensors` kept."""
        upper = torch.triu_indices(chemnet.WIDTH, chemnet.WIDTH).unbind()
        covariance = torch.zeros(chemnet.WIDTH, chemnet.WIDTH, dtype=torch.float64)
        covariance[upper] = tensors[f"{part}.covariance"].double()
        covariance = covariance + covariance.triu(1).T
        fragments, scaffolds = (
            dict(
                zip(
                    tensors[f"{part}.{name}"].tolist(),
                    tensors[f"{part}.{name}.counts"].tolist(),
                    strict=True,
                )
            )
            for name in ("fragments", "scaffolds")
        )
        return Reference(Moments(tensors[f"{part}.mean"].double(), covariance), fragments, scaffolds)


def hashed(counts: Counter[str]) -> dict[int, int]:
    """Counts by the first eight bytes of each name's SHA-256, as a signed number."""
    return {_hash(name): count for name, count in counts.items()}


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@cache
def shipped(part: str) -> Reference:
    """Statistics of that test set of MOSES."""
    file = resources.files("lsd_core.metrics.molecules").joinpath(f"{NAME}.safetensors")
    return Reference.of_tensors(part, TensorFile.from_bytes(file.read_bytes(), str(file), NAME).tensors)


def compute(part: str) -> Reference:
    """Statistics of a part of MOSES, a block of molecules at a time, with a line on the error stream a block."""
    smiles = moses.molecules(part)
    features, broken, frames = [], Counter[str](), Counter[str]()
    for begin in range(0, len(smiles), BLOCK):
        some = smiles[begin : begin + BLOCK]
        molecules = valid(parse(some))
        features.append(chemnet.features(some).numpy())
        broken.update(fragments(molecules))
        frames.update(scaffolds(molecules))
        print(f"{part}: {begin + len(some)} of {len(smiles)}", file=sys.stderr, flush=True)
    moments = Moments.of(torch.from_numpy(np.concatenate(features)))
    return Reference(moments, hashed(broken), hashed(frames))


def main(path: Path) -> None:
    """Compute the statistics of both test sets and write the file."""
    from rdkit import __version__

    tensors: dict[str, Tensor] = {}
    for part in TEST_SETS:
        tensors |= compute(part).to_tensors(part)
    notes = {
        "rdkit": __version__,
        "sha256": {part: moses.sha256_of(part) for part in TEST_SETS},
    }
    path.write_bytes(TensorFile(name=NAME, config={}, tensors=tensors, notes=notes).to_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
