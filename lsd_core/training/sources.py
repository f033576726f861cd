"""Training data of a backbone: a task by name, or the sequences of a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones import countdown_chain as countdown
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Process
from lsd_core.tasks import corpus, digit_images, text
from lsd_core.training.config import TRANSFORMERS
from lsd_core.training.lines import read_lines

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
    """Sequences that `draw` never gives."""
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


NAMED: dict[str, Callable[[int | None], Source]] = {
    "countdown": _countdown,
    "text": _text,
    "digits": _digits,
}


def find_source(name: str, length: int | None, split: str = "characters") -> Source:
    """The task of that name, or else the file at that path; raises InputError."""
    if length is not None and length < 2:
        raise InputError("length", "be >= 2", length)
    if name in NAMED:
        return NAMED[name](length)
    path = Path(name)
    if not path.is_file():
        rule = f"be one of {', '.join(NAMED)}, or a file with one sequence a line"
        raise InputError("name", rule, name)
    lines = read_lines(path, split, length)
    remark = (
        f"{len(lines.train)} sequences of up to {lines.length} tokens out of {len(lines.vocabulary.tokens)}"
    )
    if len(lines.held_out):
        remark += f"; {len(lines.held_out)} more are held out"
    if lines.left_out:
        remark += f"; {lines.left_out} longer lines are left out (--length)"
    return Source(
        processes=_masked(len(lines.vocabulary.tokens)),
        length=lines.length,
        draw=lines.draw,
        labels={"task": "sequences", "vocabulary": lines.vocabulary.to_dict()},
        identity={"data": path.name, "sha256": lines.sha256, "split": split},
        held_out=lines.held_out if len(lines.held_out) else None,
        remark=remark,
    )
