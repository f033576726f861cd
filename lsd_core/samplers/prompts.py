"""Prompts and templates: a prefix, or a sequence with blanks, written in the backbone's own tokens."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.samplers.conditional import template

Given = str | Sequence[Any] | Tensor | np.ndarray
"""Text, token numbers (in a template None for a blank), or an array of them; anything else is refused in words."""
BLANK = "_"


def given_tokens(
    backbone: AnyBackbone, prompt: Given | None = None, infill: Given | None = None, blank: str = BLANK
) -> Int[Tensor, " l"] | None:
    """The tokens that are fixed, (l,) with the mask elsewhere; None where nothing is.

    `prompt` is what sequences begin with; `infill` is a sequence with a blank (None, or in writing the string
    `blank`) at every position that is to be drawn, as are those after its end. Raises InputError.
    """
    if prompt is not None and infill is not None:
        raise InputError(
            "infill", "not be given beside a prompt", infill, "write the prompt into the template"
        )
    if infill is not None:
        return template(absorbing(backbone, "infill"), _read(backbone, infill, "infill", blank), "infill")
    if prompt is None:
        return None
    return template(absorbing(backbone, "prompt"), _read(backbone, prompt, "prompt", None), "prompt")


def _read(backbone: AnyBackbone, given: Given, field: str, blank: str | None) -> list[Any]:
    """Token numbers, None for blanks."""
    if not isinstance(given, str):
        return [_plain(token) for token in given]
    vocabulary = Vocabulary.of(backbone.config)
    pieces = given.split() if vocabulary is None else vocabulary.split(given)
    return [None if piece == blank else _number(vocabulary, piece, field) for piece in pieces]


def _plain(token: Any) -> Any:
    """A number of an array as Python's own; anything else, numbers with a fraction among them, as it is."""
    return token.item() if hasattr(token, "item") and getattr(token, "ndim", 1) == 0 else token


def _number(vocabulary: Vocabulary | None, piece: str, field: str) -> int:
    if vocabulary is not None:
        return vocabulary.number(piece, field)
    if not re.fullmatch("[0-9]{1,18}", piece):
        raise InputError(field, "be token numbers with spaces between them", piece)
    return int(piece)
