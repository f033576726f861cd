"""A JSONL file of prompts and templates, one JSON object a line, as states of a backbone.

    {"prompt": TEXT}            what the sequence begins with: text in the backbone's tokens, or a list of token numbers
    {"infill": TEXT, "blank": "_"}   a whole template: `blank` (by default _), or null in a list, where tokens are drawn
    {"given": {"3": TOKEN}}     tokens at positions from 0: numbers, or text in the backbone's tokens

Positions after the end of a prompt or template are free. Lines with nothing but space are left out, and of equal
templates one is kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.numerics.plain_text import parse_json
from lsd_core.samplers.prompts import BLANK, given_tokens

MOST_TEMPLATES = 100_000
MOST_BYTES = 1 << 20  # of a line
FORMS = ({"prompt"}, {"infill"}, {"infill", "blank"}, {"given"})
RULE = 'be {"prompt": ...}, {"infill": ...} with an optional "blank", or {"given": {POSITION: TOKEN}}'


def read_templates(backbone: AnyBackbone, path: str | Path) -> Int[Tensor, "n l"]:
    """The different templates of a file, in the order of their lines; InputError names the file, the line, the rule."""
    found = dict[tuple[int, ...], None]()
    for place, record in _lines(Path(path)):
        try:
            given = _template(backbone, record)
        except InputError as error:
            field = f"{place}, {error.field}" if error.field else place
            raise InputError(field, error.rule, error.value, error.remedy) from None
        if not bool((given == _mask(backbone)).any()):
            raise InputError(place, "leave a position free", "a template that gives all")
        found[tuple(given.tolist())] = None
        if len(found) > MOST_TEMPLATES:
            raise InputError(str(path), f"hold at most {MOST_TEMPLATES} templates", "more")
    if not found:
        raise InputError(str(path), "hold at least one template", "none")
    return torch.tensor(list(found))


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of each line that is not empty."""
    try:
        file = path.open("rb")
    except (OSError, ValueError):  # no file, a folder, no permission, no name that a file can have
        remedy = "name a JSONL file, `task`, or the digest of a set on the store"
        raise InputError("conditions.source", "be a file that can be read", str(path), remedy) from None
    with file:
        for number, line in enumerate(iter(lambda: file.readline(MOST_BYTES + 1), b""), start=1):
            place = f"{path} line {number}"
            if len(line) > MOST_BYTES:
                raise InputError(place, f"have at most {MOST_BYTES} bytes", "more")
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                record = parse_json(text, place)
                if not isinstance(record, dict) or set(record) not in FORMS:
                    raise InputError(place, RULE, record)
                yield place, record


def _template(backbone: AnyBackbone, record: dict[str, Any]) -> Int[Tensor, " l"]:
    if "given" in record:
        given = given_tokens(backbone, infill=_placed(backbone, record["given"]))
    elif "prompt" in record:
        given = given_tokens(backbone, prompt=_sequence(record["prompt"], "prompt", (int,)))
    else:
        blank = record.get("blank", BLANK)
        if not isinstance(blank, str) or not blank:
            raise InputError("blank", "be a string", blank)
        infill = _sequence(record["infill"], "infill", (int, type(None)))
        given = given_tokens(backbone, infill=infill, blank=blank)
    assert given is not None
    return given


def _sequence(value: Any, field: str, kinds: tuple[type, ...]) -> str | list[Any]:
    """Text, or a list of token numbers (and null for blanks)."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(type(token) in kinds for token in value):
        return value
    raise InputError(field, "be text, or a list of token numbers", value)


def _placed(backbone: AnyBackbone, given: Any) -> list[Any]:
    """Tokens at positions, None elsewhere."""
    if not isinstance(given, dict) or not given:
        raise InputError("given", "name a token for at least one position", given)
    row, vocabulary = [None] * backbone.length, Vocabulary.of(backbone.config)
    for position, token in given.items():
        if not re.fullmatch("[0-9]{1,9}", position) or int(position) >= backbone.length:
            raise InputError("given", f"name positions in 0..{backbone.length - 1}", position)
        if isinstance(token, str) and vocabulary is not None:
            token = vocabulary.number(token, f"given[{position}]")
        if type(token) is not int:
            raise InputError(f"given[{position}]", "be a token", token)
        row[int(position)] = token  # type: ignore[call-overload]
    return row


def _mask(backbone: AnyBackbone) -> int:
    return backbone.process.num_states - 1
