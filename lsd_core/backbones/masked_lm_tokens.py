"""Tokens of a masked language model: length, MASK, what stands around a sequence and what is never written.

They come from the folder's tokenizer and configuration; an address may say otherwise: `?length=120&mask=4`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError

LISTED = (
    1024  # a vocabulary of at most so many tokens is part of the configuration, so that samples can be read
)
UNLIMITED = 10**6  # tokenizers say 10^30 where they know no limit
FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """How token numbers of a model are used."""

    count: int
    """Tokens of the tokenizer: logits beyond them are never drawn."""
    length: int
    """Positions of a sequence, without the tokens around it."""
    mask: int
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    never: tuple[int, ...] = ()
    """Never drawn: special tokens, MASK among them."""
    vocabulary: Vocabulary | None = None


def tokens_of(folder: Path, name: str, record: Mapping[str, Any], options: Mapping[str, str]) -> Tokens:
    """The tokens of the model in a folder, `record` its configuration."""
    return tokens_with(_tokenizer(folder), folder, name, record, options)


def tokens_with(
    tokenizer: Any, folder: Path, name: str, record: Mapping[str, Any], options: Mapping[str, str]
) -> Tokens:
    """The same with a tokenizer that is read already, or with none."""
    size = int(record["vocab_size"])
    count = size if tokenizer is None else min(size, len(tokenizer))
    mask = _number(name, "mask", options, None if tokenizer is None else tokenizer.mask_token_id)
    if mask is None:
        mask = record.get("mask_token_id")
    if mask is None:
        raise InputError(
            f"mask of {name}", "be known", f"no tokenizer in {folder}", f"name it: {folder}?mask=ID"
        )
    if not 0 <= mask < size:
        raise InputError(f"mask of {name}", f"lie in 0..{size - 1}", mask)
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    never = {mask}
    if tokenizer is not None:
        before, after = _around(tokenizer, mask)
        never |= set(tokenizer.all_special_ids)
    limit = _limit(record, tokenizer)
    room = None if limit is None else limit - len(before) - len(after)
    length = _number(name, "length", options, room)
    if length is None:
        raise InputError(
            f"length of {name}", "be known", "no limit in its files", f"name it: {folder}?length=120"
        )
    if length < 1 or (room is not None and length > room):
        raise InputError(f"length of {name}", f"lie in 1..{room if room is not None else UNLIMITED}", length)
    vocabulary = None
    if tokenizer is not None and count <= LISTED:
        vocabulary = vocabulary_of(tokenizer.convert_ids_to_tokens(list(range(count))), never)
    return Tokens(
        count=count,
        length=length,
        mask=mask,
        before=before,
        after=after,
        never=tuple(sorted(token for token in never if token < count)),
        vocabulary=vocabulary,
    )


def _number(name: str, option: str, options: Mapping[str, str], default: int | None) -> int | None:
    text = options.get(option)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"{option} of {name}", "be a whole number", text)
    return int(text)


def _tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, None where it has no files of one; no code from it is executed."""
    if not any((folder / file).is_file() for file in FILES):
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of many kinds, for files that are not whole
        shown = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"tokenizer in {folder}", "be readable", shown) from None


def _around(tokenizer: Any, mask: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Special tokens that the tokenizer puts before and after a sequence."""
    numbers = list(tokenizer(tokenizer.convert_ids_to_tokens(mask)).input_ids)
    if mask not in numbers:
        return (), ()
    at, special = numbers.index(mask), set(tokenizer.all_special_ids)
    before, after = numbers[:at], numbers[at + 1 :]
    return tuple(n for n in before if n in special), tuple(n for n in after if n in special)


def _limit(record: Mapping[str, Any], tokenizer: Any) -> int | None:
    """Most tokens that the model reads at once, as far as its files say."""
    known = []
    if (
        isinstance(record.get("max_position_embeddings"), int)
        and record.get("position_embedding_type") != "rotary"
    ):
        offset = record.get("pad_token_id", 0) + 1 if "roberta" in str(record.get("model_type")) else 0
        known.append(record["max_position_embeddings"] - offset)
    if tokenizer is not None and tokenizer.model_max_length < UNLIMITED:
        known.append(int(tokenizer.model_max_length))
    return min(known) if known else None


def vocabulary_of(written: Sequence[str], never: set[int]) -> Vocabulary | None:
    """The written tokens; without separators where all that can be drawn are single characters. None for homonyms."""
    if len(set(written)) != len(written):
        return None
    if any(len(token) != 1 for number, token in enumerate(written) if number not in never):
        return Vocabulary(tuple(written), " ")
    private = 0xE000  # code points that no text uses stand for what is never drawn
    return Vocabulary(tuple(chr(private + n) if n in never else token for n, token in enumerate(written)))
