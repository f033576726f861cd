"""Vocabulary of a backbone: token numbers to and from text (characters, words, residues)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.splitting import Splitting, splitting
from lsd_core.errors import InputError

PADDING = ""  # how the token that fills a short sequence up is written


@dataclass(frozen=True)
class Vocabulary:
    """Token i is written `tokens[i]`; a sequence is its tokens with `separator` between them."""

    tokens: tuple[str, ...]
    separator: str = ""
    splitting: str = ""
    """How text is cut into tokens of several characters that nothing separates (`splitting.splitting`)."""

    def __post_init__(self) -> None:
        if len(self.tokens) < 2 or len(set(self.tokens)) != len(self.tokens):
            raise InputError("vocabulary.tokens", "be two or more different strings", list(self.tokens)[:8])
        if self.splitting:
            splitting(self.splitting)
        elif not self.separator and any(len(token) > 1 for token in self.tokens):
            longest = max(self.tokens, key=len)
            raise InputError("vocabulary.separator", "be given for tokens of several characters", longest)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _splitting(self) -> Splitting:
        return splitting(self.splitting, self.tokens)

    @property
    def padding(self) -> int | None:
        """Number of the token that fills sequences up, if there is one."""
        return self._index.get(PADDING)

    def split(self, text: str) -> list[str]:
        """A written sequence, cut into the strings that stand for one token each."""
        if self.splitting:
            return self._splitting.cut(text)
        if self.separator == " ":
            return text.split()
        return text.split(self.separator) if self.separator else list(text)

    def encode(self, text: str, field: str = "text") -> list[int]:
        """Token numbers of a written sequence; a string that is no token raises InputError."""
        return [self.number(piece, field) for piece in self.split(text)]

    def number(self, piece: str, field: str = "text") -> int:
        """Number of one token."""
        if piece not in self._index or piece == PADDING:
            known = self.separator.join(token for token in self.tokens if token != PADDING)
            shown = known if len(known) <= 120 else known[:120] + " ..."
            raise InputError(field, f"be written in the backbone's tokens, {shown!r}", piece)
        return self._index[piece]

    def decode(self, numbers: Iterable[int]) -> str:
        """The written sequence; padding is not shown."""
        return self.separator.join(piece for piece in (self.tokens[n] for n in numbers) if piece != PADDING)

    def to_dict(self) -> dict[str, Any]:
        record = {"tokens": list(self.tokens), "separator": self.separator}
        return record | {"split": self.splitting} if self.splitting else record

    @staticmethod
    def of(config: dict[str, Any]) -> "Vocabulary | None":
        """The vocabulary of a backbone's configuration, if it has one."""
        record = config.get("vocabulary")
        if record is None:
            return None
        tokens: Sequence[Any] = record["tokens"]
        written = tuple(str(token) for token in tokens)
        return Vocabulary(written, str(record["separator"]), str(record.get("split", "")))


def written(config: dict[str, Any], tokens: Int[Tensor, "n l"]) -> list[str]:
    """Sequences as a person reads them: in the vocabulary of a backbone's configuration, or as token numbers."""
    vocabulary = Vocabulary.of(config)
    if vocabulary is None:
        return [" ".join(str(token) for token in row) for row in tokens.tolist()]
    return [vocabulary.decode(row) for row in tokens.tolist()]
