"""Tanimoto similarity of Morgan fingerprints: the diversity within a set, and the nearest neighbour in another."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

RADIUS, BITS = 2, 1024  # as MOSES has them
BLOCK = 4096  # fingerprints of either side that are compared at once


def fingerprints(molecules: Iterable[Any]) -> UInt8[Tensor, "n 128"]:
    """Morgan fingerprints, eight bits a byte."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    rows = [np.packbits(generator.GetFingerprintAsNumPy(molecule)) for molecule in molecules]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, BITS // 8, dtype=torch.uint8)


def internal_diversity(prints: UInt8[Tensor, "n 128"], power: int = 1) -> float:
    """1 - the mean over molecules of (their mean similarity^p to all, themselves among them)^(1/p), in [0, 1].

    IntDiv of MOSES for p = 1, IntDiv2 for p = 2; nan of none.
    """
    if not len(prints):
        return float("nan")
    sums = torch.zeros(len(prints), dtype=torch.float64)
    for rows, similarity in _blocks(prints, prints):
        sums[rows] += similarity.double().pow(power).sum(1)
    return 1 - float((sums / len(prints)).pow(1 / power).mean())


def nearest_similarity(prints: UInt8[Tensor, "n 128"], reference: UInt8[Tensor, "m 128"]) -> float:
    """Mean over molecules of the similarity to the nearest of the reference (SNN of MOSES), in [0, 1]; nan of none."""
    if not len(prints):
        return float("nan")
    nearest = torch.zeros(len(prints))
    for rows, similarity in _blocks(prints, reference):
        nearest[rows] = torch.maximum(nearest[rows], similarity.amax(1))
    return float(nearest.double().mean())


def _blocks(
    ours: UInt8[Tensor, "n 128"], theirs: UInt8[Tensor, "m 128"]
) -> Iterable[tuple[slice, Float[Tensor, "a b"]]]:
    """Similarities of a block of ours to a block of theirs, with where ours lie."""
    for start in range(0, len(theirs), BLOCK):
        other = _bits(theirs[start : start + BLOCK])
        for begin in range(0, len(ours), BLOCK):
            rows = slice(begin, begin + BLOCK)
            one = _bits(ours[rows])
            both = one @ other.T
            either = one.sum(1)[:, None] + other.sum(1) - both
            yield rows, torch.where(either > 0, both / either, 1.0)  # two without a bit are alike


def _bits(packed: UInt8[Tensor, "n 128"]) -> Float[Tensor, "n 1024"]:
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=1)).float()


def prints_of(smiles: Sequence[str]) -> UInt8[Tensor, "n 128"]:
    """Fingerprints of SMILES that are known to be molecules."""
    from rdkit import Chem

    return fingerprints(Chem.MolFromSmiles(text) for text in smiles)
