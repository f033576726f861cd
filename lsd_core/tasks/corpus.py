"""An English text that every CPython carries: the language reference, as `pydoc_data.topics` holds it.

Its sentences change a little from one CPython to the next. So the alphabet is fixed here, and every paragraph
finds its part by its own hash: a paragraph that two versions share lies in the same part in both, and no
paragraph lies in two.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.randomness import drawn_index

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz0123456789.,:;!?()'\"-_*="
TYPEWRITTEN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")  # quotes and dashes
LEAST_CHARACTERS, LEAST_PROSE = 24, 0.8
NUM_BUCKETS = 20
PARTS = {"train": range(9), "held_out": range(9, 10), "judge": range(10, 19), "judge_held_out": range(19, 20)}
"""Buckets of a part: the first half trains backbones, the second trains the judge; a tenth of each is kept."""


@dataclass(frozen=True)
class Corpus:
    """The text in its parts, as characters; paragraphs are separated by a newline."""

    parts: dict[str, str]

    @property
    def sha256(self) -> str:
        """Identity of the text as it is used here."""
        return hashlib.sha256(canonical_json(self.parts).encode()).hexdigest()

    def tokens(self, part: str) -> Int[Tensor, " n"]:
        """A part as indices into ALPHABET."""
        index = {character: token for token, character in enumerate(ALPHABET)}
        return torch.tensor([index[character] for character in self.parts[part]])


@cache
def load_corpus() -> Corpus:
    """The corpus of the running CPython."""
    from pydoc_data.topics import topics

    paragraphs: dict[str, None] = {}
    for name in sorted(topics):
        for text in re.split(r"\n\s*\n", topics[name]):
            if kept := prose(text):
                paragraphs.setdefault(kept)
    return Corpus(
        {
            part: "\n".join(text for text in paragraphs if bucket(text) in buckets)
            for part, buckets in PARTS.items()
        }
    )


def prose(text: str) -> str:
    """A paragraph in lower case and in ALPHABET, on one line; empty if it is short, or code."""
    plain = " ".join(unicodedata.normalize("NFKC", text).translate(TYPEWRITTEN).lower().split())
    letters = sum(character.isalpha() or character == " " for character in plain)
    if len(plain) < LEAST_CHARACTERS or letters < LEAST_PROSE * len(plain):
        return ""
    return " ".join("".join(character for character in plain if character in ALPHABET).split())


def bucket(text: str) -> int:
    """Which of the buckets a paragraph falls into."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % NUM_BUCKETS


def draw_windows(
    part: Int[Tensor, " n"], seed: int, trajectory: Int[Tensor, " b"], length: int
) -> Int[Tensor, "b l"]:
    """Windows (b, length) of a part, each beginning anywhere: functions of (seed, trajectory)."""
    start = drawn_index(seed, trajectory, len(part) - length + 1)
    return part[start[:, None] + torch.arange(length)]


def windows(part: Int[Tensor, " n"], length: int) -> Int[Tensor, "m l"]:
    """A part cut into windows one after another; what is left over is dropped."""
    return part[: len(part) // length * length].view(-1, length)
