"""Training data of a backbone: a task by name, or the sequences of a file."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones import countdown_chain as countdown
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.metrics.molecules import moses
from lsd_core.metrics.sudoku import side_of
from lsd_core.processes import Absorbing, Process
from lsd_core.tasks import corpus, digit_images, sudoku_grids, text
from lsd_core.training.config import TRANSFORMERS
from lsd_core.training.line_remarks import remarks
from lsd_core.training.lines import find_splitting, read_lines

MOST_HELD_OUT = 2**16  # sequences that are compared with as many that were learned from
HELD_OUT = 4096  # molecules that are compared so
DIGITS = tuple("123456789")
PLACED = {"position_embedding": True}
"""Setting of data whose begin and end are told by their place.

Rotary angles are relative: without it every position has the same prediction where all is masked, and a padded
sequence begins nowhere. A window of running text has no place.
"""
Draw = Callable[[int, Tensor], Tensor]  # (seed, sequence indices (b,)) -> tokens (b, l)


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Sequences without end, and the labels of a backbone trained on them."""

    processes: Mapping[str, Process]
    """The families of networks that can be trained on it, the usual one first, with the noise of each."""
    length: int
    draw: Draw
    labels: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the backbone's configuration: its task, its vocabulary."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """What tells this data from other data, for checkpoints and notes."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Default size and schedule of the training."""
    held_out: Int[Tensor, "m l"] | None = None
    """Sequences that `draw` never gives; of a large file some of them, evenly spaced."""
    grid: str | None = None
    """The ready grid for such backbones."""
    remark: str = ""
    """What a person should know about the data."""

    def process(self, family: str) -> Process:
        """The noise that a network of this family undoes."""
        if family not in self.processes:
            raise InputError("family", f"be one of {', '.join(self.processes)}", family)
        return self.processes[family]


def _masked(num_tokens: int) -> dict[str, Process]:
    """Transformers on the absorbing process."""
    return {family: Absorbing(num_tokens) for family in TRANSFORMERS}


def _countdown(length: int | None) -> Source:
    length = 64 if length is None else length
    return Source(
        processes=_masked(countdown.NUM_VALUES),
        length=length,
        draw=lambda seed, index: countdown.draw_sequences(seed, index, length),
        identity={"data": "countdown"},
        grid="countdown",
    )


def _text(length: int | None) -> Source:
    length, read = text.LENGTH if length is None else length, corpus.load_corpus()
    part, held_out = read.tokens("train"), read.tokens("held_out")
    if length > len(held_out):
        raise InputError("length", f"be at most {len(held_out)}, the held-out characters", length)
    return Source(
        processes=_masked(len(corpus.ALPHABET)),
        length=length,
        draw=lambda seed, index: corpus.draw_windows(part, seed, index, length),
        labels={"task": "text", "vocabulary": Vocabulary(tuple(corpus.ALPHABET)).to_dict()},
        identity={"data": "text", "corpus_sha256": read.sha256},
        settings={"dim": 64, "num_blocks": 3, "num_heads": 2, "cond_dim": 16, "steps": 2500, "batch": 16},
        held_out=corpus.windows(held_out, length),
        grid="text",
    )


def _digits(length: int | None) -> Source:
    if length not in (None, digit_images.LENGTH):
        raise InputError("length", f"be {digit_images.LENGTH} for digits", length)
    images, others = digit_images.load_images("backbone"), digit_images.load_images("reference")
    return Source(
        processes=digit_images.PROCESSES,
        length=digit_images.LENGTH,
        draw=images.draw,
        labels={"task": "digits"},
        identity={"data": "digits", "images_sha256": images.sha256},
        settings={"dim": 128, "steps": 6000, "lr": 2e-3},
        held_out=others.pixels,
        grid="digits",
    )


def _molecules(length: int | None) -> Source:
    length = moses.LENGTH if length is None else length
    part, held_out = moses.tokens_of("train", length), moses.tokens_of("test", length)
    if not len(part) or not len(held_out):
        raise InputError("length", "hold a molecule of MOSES", length, f"{moses.LENGTH} holds all")
    return Source(
        processes=_masked(len(moses.TOKENS)),
        length=length,
        draw=lambda seed, index: moses.draw(part, seed, index),
        labels={"task": "molecules", "vocabulary": moses.VOCABULARY.to_dict()},
        identity={"data": "moses", "sha256": moses.sha256_of("train")},
        settings={
            "dim": 192,
            "num_blocks": 4,
            "num_heads": 6,
            "steps": 100_000,
            "optimiser": "muon",
            "lr": 5e-3,
            **PLACED,
        },
        held_out=held_out[:HELD_OUT].long(),
        grid="molecules",
    )


def _sudoku(length: int | None) -> Source:
    side = side_of(36 if length is None else length)
    return Source(
        processes=_masked(side),
        length=side * side,
        draw=lambda seed, index: sudoku_grids.draw_grids(seed, index, side),
        labels={"task": "sudoku", "vocabulary": Vocabulary(DIGITS[:side]).to_dict()},
        identity={"data": "sudoku"},
        settings={
            "dim": 64,
            "num_blocks": 6,
            "num_heads": 4,
            "steps": 8000,
            "optimiser": "muon",
            "lr": 1e-2,
            **PLACED,
        },
        grid="sudoku",
    )


NAMED: dict[str, Callable[[int | None], Source]] = {
    "countdown": _countdown,
    "text": _text,
    "digits": _digits,
    "molecules": _molecules,
    "sudoku": _sudoku,
}


def find_source(
    name: str, length: int | None, split: str = "characters", column: str | None = None
) -> Source:
    """The task of that name, or else the file at that path; raises InputError."""
    if length is not None and length < 2:
        raise InputError("length", "be >= 2", length)
    _, listed = find_splitting(split)
    if name in NAMED:
        if column is not None:
            raise InputError("column", "be left out, for a task has no file", column)
        return NAMED[name](length)
    path = Path(name)
    if not path.is_file():
        rule = f"be one of {', '.join(NAMED)}, or a file with one sequence a line"
        raise InputError("name", rule, name)
    lines = read_lines(path, split, length, column)
    apart = lines.held_out[:: -(-len(lines.held_out) // MOST_HELD_OUT) or 1].long()
    identity = {"data": path.name, "sha256": lines.sha256, "split": Path(split).name if listed else split}
    if listed:
        identity["tokens_sha256"] = hashlib.sha256("\n".join(listed).encode()).hexdigest()
    if column is not None:
        identity["column"] = column
    return Source(
        processes=_masked(len(lines.vocabulary.tokens)),
        length=lines.length,
        draw=lines.draw,
        labels={"task": "sequences", "vocabulary": lines.vocabulary.to_dict()},
        identity=identity,
        settings=PLACED,
        held_out=apart if len(apart) else None,
        remark=remarks(lines, split),
    )
