"""Training sequences of a file as padded rows of token numbers, read in two passes and bounded memory."""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int, Integer
from torch import Tensor

from lsd_core.backbones.splitting import LISTED, Splitting, splitting
from lsd_core.backbones.vocabulary import PADDING, Vocabulary
from lsd_core.errors import InputError
from lsd_core.numerics.randomness import drawn_index
from lsd_core.training.sequence_files import Reading, SequenceFile
from lsd_core.training.text_lines import MOST_CHARACTERS, Ends, text_lines, without_ends
from lsd_core.training.token_spool import Spool, count_repeated, room, smallest_type

LONGEST = 256  # positions by default
HELD_OUT_SHARE = 20  # one line in so many is kept aside, where there are enough of them
MOST_DIFFERENT = 2**20  # tokens: no network that is trained here has as many
BEFORE = ("characters", "spaces")  # whose vocabularies need no record of how they were cut


class Kept(NamedTuple):
    """A sequence that is learned from or held out."""

    pieces: list[str]
    digest: bytes
    aside: bool
    """Whether it is held out, where there are enough sequences."""


@dataclass
class Survey:
    """Counts of the sequences of a file, filled while they are read."""

    kept: int = 0
    aside: int = 0
    """Of the kept ones, those whose hash holds them out."""
    repeated: int = 0
    """Kept ones that repeat an earlier one."""
    empty: int = 0
    longer: int = 0
    unknown: int = 0
    """Sequences with text that is no token."""
    first: dict[str, str] = field(default_factory=dict)
    """The first `longer` and the first `unknown` one, as an error or a remark names it."""
    shortest: int = MOST_CHARACTERS
    shortest_kept: int = MOST_CHARACTERS
    longest: int = 0
    alphabet: set[str] = field(default_factory=set)
    """Tokens of the kept ones."""
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, eq=False)
class Lines:
    """The sequences of a file, padded to one length, and how they are written."""

    vocabulary: Vocabulary
    train: Integer[Tensor, "n l"]
    """Small integers, which may lie on the disk; `draw` gives token numbers."""
    held_out: Integer[Tensor, "m l"]
    """Never drawn from."""
    survey: Survey
    form: str
    """How the file is written: `SequenceFile.form`."""
    sha256: str
    """Of the file's bytes."""

    @property
    def length(self) -> int:
        return self.train.shape[1]

    @property
    def left_out(self) -> int:
        """Lines longer than the length."""
        return self.survey.longer

    def draw(self, seed: int, trajectory: Int[Tensor, " b"]) -> Int[Tensor, "b l"]:
        """Training sequences, drawn with replacement: functions of (seed, trajectory)."""
        return self.train[drawn_index(seed, trajectory, len(self.train))].long()


def read_lines(
    path: Path, split: str = "characters", length: int | None = None, column: str | None = None
) -> Lines:
    """Read a file of sequences. Empty lines are skipped, lines longer than `length` and those with text that is no
    token left out, shorter ones padded at the end.

    Where no length is given it is that of the longest line, 256 at most. A line's own hash says whether it
    is held out, so equal lines are never on both sides. Equal lines are learned from as often as they occur. The rows
    lie in temporary files (TMPDIR): memory is bounded, whatever the size of the file. Raises InputError.
    """
    cut, listed = find_splitting(split)
    file = SequenceFile(path, column)
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    limit = LONGEST if length is None else max(length, 0)
    survey, hashes = Survey(), Spool("<u8", 1)
    with room():
        for kept in _kept(file, cut, limit, survey):
            hashes.write(kept.digest)
            survey.aside += kept.aside
        repeated = hashes.mapped()[:, 0]
    length = min(survey.longest, LONGEST) if length is None else length
    _check(path, split, length, survey)
    survey.repeated = count_repeated(repeated)
    alphabet = listed or tuple(sorted(survey.alphabet))
    tokens = (*alphabet, PADDING) if survey.shortest_kept < length else alphabet
    if len(tokens) < 2:
        raise InputError(str(path), "hold at least two different tokens", list(alphabet))
    vocabulary = Vocabulary(tokens, cut.separator, "" if split in BEFORE else cut.name)
    train, held_out = _encode(file, cut, limit, vocabulary, length, survey)
    return Lines(vocabulary, train, held_out, survey, file.form, sha256)


def find_splitting(split: str) -> tuple[Splitting, tuple[str, ...]]:
    """The splitting of that name and no tokens, or that of a file of tokens, one a line, and these."""
    try:
        return splitting(split), ()
    except InputError:
        if not Path(split).is_file():
            raise
    lines = (line for _, line in without_ends(text_lines(Path(split), Ends())))
    tokens = tuple(line for line in lines if line)
    if len(tokens) < 2 or len(set(tokens)) < len(tokens):
        raise InputError("split", "name a file of two or more different tokens, one a line", split)
    return splitting(LISTED, tokens), tokens


def _kept(file: SequenceFile, cut: Splitting, limit: int, survey: Survey) -> Iterator[Kept]:
    """Each sequence that is learned from or held out; all are counted in the survey."""
    for number, text in file.records(survey.reading):
        pieces = None if text is None else cut.cut(text)
        size = MOST_CHARACTERS if pieces is None else len(pieces)
        if not size:
            survey.empty += 1
            continue
        survey.shortest, survey.longest = min(survey.shortest, size), max(survey.longest, size)
        if pieces is None or size > limit:
            survey.longer += 1
            survey.first.setdefault("longer", f"line {number}")
            continue
        new = set(pieces) - survey.alphabet
        if stray := next((piece for piece in pieces if piece in new and not cut.is_token(piece)), ""):
            survey.unknown += 1
            survey.first.setdefault("unknown", f"{stray!r} in line {number}")
            continue
        survey.kept += 1
        survey.shortest_kept = min(survey.shortest_kept, size)
        survey.alphabet |= new
        if len(survey.alphabet) > MOST_DIFFERENT:
            shown = f"more, up to line {number}"
            raise InputError(
                str(file.path), f"hold at most {MOST_DIFFERENT} different tokens", shown, "--split"
            )
        digest = hashlib.sha256("\0".join(pieces).encode()).digest()[:8]
        yield Kept(pieces, digest, int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0)


def _check(path: Path, split: str, length: int, survey: Survey) -> None:
    """Raise InputError where nothing can be learned from."""
    if not survey.longest:
        shown = "no sequence" if survey.empty or survey.reading.incomplete else "an empty file"
        if header := survey.reading.header or ("lines of >" if survey.reading.names else ""):
            shown = f"nothing but a header: {header}"
        raise InputError(str(path), "hold one sequence a line", shown)
    if length < 2:
        raise InputError("length", "be >= 2", length)
    if survey.unknown and not survey.kept:
        raise InputError(str(path), f"hold lines of the tokens of --split {split}", survey.first["unknown"])
    if not survey.kept:
        raise InputError("length", f"be at least {survey.shortest}, the shortest line of {path}", length)


def _encode(
    file: SequenceFile, cut: Splitting, limit: int, vocabulary: Vocabulary, length: int, survey: Survey
) -> tuple[Tensor, Tensor]:
    """Token numbers (n, length) of what is learned from, and (m, length) of what is held out."""
    number = {token: index for index, token in enumerate(vocabulary.tokens)}
    code = smallest_type(len(number))
    padding, train, held_out = (
        array(code, [vocabulary.padding or 0]),
        Spool(code, length),
        Spool(code, length),
    )
    apart, again = survey.kept >= 2 * HELD_OUT_SHARE and survey.aside < survey.kept, Survey()
    try:
        with room():
            for kept in _kept(file, cut, limit, again):
                row = array(code, map(number.__getitem__, kept.pieces)) + padding * (
                    length - len(kept.pieces)
                )
                (held_out if apart and kept.aside else train).write(row)
            rows = torch.from_numpy(train.mapped()), torch.from_numpy(held_out.mapped())
    except KeyError:
        again.kept = -1
    if again.kept != survey.kept:
        raise InputError(str(file.path), "stay as it is while it is read", "other lines than before")
    return rows
