"""MOSES: drug-like molecules as SMILES, a benchmark of molecular generation (Polykovskiy et al. 2020,
doi:10.3389/fphar.2020.565644).

Its three parts lie in the wheel of `molsets`, whose code is never imported: 1,584,663 molecules to learn from, a
random test set of 176,074, and 176,225 whose scaffolds occur in neither.
"""

import gzip
import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from lsd_core.backbones.vocabulary import PADDING, Vocabulary
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import drawn_index

PARTS = ("train", "test", "test_scaffolds")
INSTALL = "pip install --no-deps molsets==0.3.1"
LENGTH = 54  # tokens of the longest molecule
ATOMS = ("Br", "C", "Cl", "F", "N", "O", "S", "[H]", "[nH]", "c", "n", "o", "s")
TOKENS = ("#", "(", ")", "-", "1", "2", "3", "4", "5", "6", "=", *ATOMS, PADDING)
VOCABULARY = Vocabulary(TOKENS, splitting="regex")


def file_of(name: str) -> Path:
    """A file of the wheel; raises InputError where it is not installed."""
    try:
        path = Path(str(metadata.distribution("molsets").locate_file(f"moses/{name}")))
    except metadata.PackageNotFoundError:
        raise InputError("MOSES", "lie in the installed wheel of molsets", "not installed", INSTALL) from None
    if not path.is_file():
        raise InputError("MOSES", f"hold the file {name}", "not there", INSTALL)
    return path


def path_of(part: str) -> Path:
    """The compressed file of that part; raises InputError where the wheel is not installed."""
    return file_of(f"dataset/data/{part}.csv.gz")


def sha256_of(part: str) -> str:
    """Identity of a part: the digest of its compressed file."""
    return hashlib.sha256(path_of(part).read_bytes()).hexdigest()


@cache
def molecules(part: str) -> tuple[str, ...]:
    """SMILES of a part, in its order; the first line is a header."""
    with gzip.open(path_of(part), "rt", encoding="ascii") as lines:
        next(lines)
        return tuple(line.strip().partition(",")[0] for line in lines)


@cache
def tokens_of(part: str, length: int = LENGTH) -> UInt8[Tensor, "n l"]:
    """Token numbers of a part, padded at the end; molecules longer than `length` are left out."""
    number = {token: index for index, token in enumerate(TOKENS)}
    padding, rows = bytes([number[PADDING]]), bytearray()
    for smiles in molecules(part):
        row = bytes(number[piece] for piece in VOCABULARY.split(smiles))
        if len(row) <= length:
            rows += row + padding * (length - len(row))
    return torch.frombuffer(rows, dtype=torch.uint8).reshape(-1, length)


def draw(part: Tensor, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
    """Molecules of a part, drawn with replacement: functions of (seed, trajectory)."""
    return part[drawn_index(seed, trajectory, len(part))].long()
