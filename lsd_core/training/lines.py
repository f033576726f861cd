"""Training sequences from a text file: one a line, as characters or as tokens separated by spaces."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.vocabulary import PADDING, Vocabulary
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniforms

Split = Literal["characters", "spaces"]
LONGEST = 256  # positions by default
MOLECULES = (".smi", ".smiles")  # a molecule, white space, its name
HEADINGS = ("smiles", "canonical_smiles", "smi")
HELD_OUT_SHARE = 20  # one line in so many is kept aside, where there are enough of them


@dataclass(frozen=True, eq=False)
class Lines:
    """The sequences of a file, padded to one length, and how they are written."""

    vocabulary: Vocabulary
    train: Int[Tensor, "n l"]
    held_out: Int[Tensor, "m l"]
    """Never drawn from."""
    left_out: int
    """Lines longer than the length."""
    sha256: str
    """Of the file's bytes."""

    @property
    def length(self) -> int:
        return self.train.shape[1]

    def draw(self, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """Training sequences, drawn with replacement: functions of (seed, trajectory)."""
        uniform = uniforms(seed, trajectory, 0, torch.zeros_like(trajectory), Purpose.DATA)
        return self.train[(uniform * len(self.train)).long()]


def read_lines(path: Path, split: str = "characters", length: int | None = None) -> Lines:
    """Read a file, of .smi its first column. Empty lines are skipped, lines longer than `length` left out, shorter
    ones padded at the end.

    Where no length is given it is that of the longest line, 256 at most. A line's own hash says whether it
    is held out, so equal lines are never on both sides. Raises InputError.
    """
    if split not in get_args(Split):
        raise InputError("split", f"be one of {', '.join(get_args(Split))}", split)
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(str(path), "be text in UTF-8, one sequence a line", f"{error.reason}") from None
    written = text.splitlines()
    if path.suffix.lower() in MOLECULES:
        written = _first_columns(written)
    pieces = [line.split() if split == "spaces" else list(line) for line in written]
    sequences = [sequence for sequence in pieces if sequence]
    if not sequences:
        raise InputError(str(path), "hold one sequence a line", "no sequence")
    longest = max(map(len, sequences))
    length = min(longest, LONGEST) if length is None else length
    if length < 2:
        raise InputError("length", "be >= 2", length)
    kept = [sequence for sequence in sequences if len(sequence) <= length]
    if not kept:
        shortest = min(map(len, sequences))
        raise InputError("length", f"be at least {shortest}, the shortest line of {path}", length)
    alphabet = sorted({piece for sequence in kept for piece in sequence})
    padded = any(len(sequence) < length for sequence in kept)
    tokens = (*alphabet, PADDING) if padded else tuple(alphabet)
    if len(tokens) < 2:
        raise InputError(str(path), "hold at least two different tokens", alphabet)
    vocabulary = Vocabulary(tokens, " " if split == "spaces" else "")
    train, held_out = _encode(kept, vocabulary, length)
    return Lines(
        vocabulary=vocabulary,
        train=train,
        held_out=held_out,
        left_out=len(sequences) - len(kept),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _first_columns(lines: list[str]) -> list[str]:
    """The molecules of a SMILES file: what stands before the first white space, without a heading."""
    molecules = [line.split(maxsplit=1)[0] for line in lines if line.strip()]
    return molecules[1:] if molecules and molecules[0].lower() in HEADINGS else molecules


def _encode(sequences: list[list[str]], vocabulary: Vocabulary, length: int) -> tuple[Tensor, Tensor]:
    """Token numbers (n, length) of what is learned from, and (m, length) of what is held out."""
    number = {token: index for index, token in enumerate(vocabulary.tokens)}
    rows = torch.full((len(sequences), length), vocabulary.padding or 0)
    for row, sequence in enumerate(sequences):
        rows[row, : len(sequence)] = torch.tensor([number[piece] for piece in sequence])
    kept_aside = torch.tensor([_bucket(sequence) == 0 for sequence in sequences])
    if len(sequences) < 2 * HELD_OUT_SHARE or bool(kept_aside.all()):
        return rows, rows[:0]
    return rows[~kept_aside], rows[kept_aside]


def _bucket(sequence: list[str]) -> int:
    digest = hashlib.sha256("\0".join(sequence).encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_SHARE
