"""Writing and reading tokens are inverse to each other, whatever the tokens are."""

import pytest

from lsd_core.backbones.vocabulary import PADDING, Vocabulary
from lsd_core.errors import InputError

LETTERS = Vocabulary(("a", "b", "c", PADDING))
WORDS = Vocabulary(("CC", "O", "[nH]"), " ")


def test_what_is_encoded_is_decoded() -> None:
    assert LETTERS.encode("abca") == [0, 1, 2, 0]
    assert LETTERS.decode([0, 1, 2, 0]) == "abca"
    assert WORDS.encode("CC  [nH] O ") == [0, 2, 1]
    assert WORDS.decode([0, 2, 1]) == "CC [nH] O"
    assert Vocabulary.of({"vocabulary": WORDS.to_dict()}) == WORDS
    assert Vocabulary.of({}) is None


def test_padding_is_never_shown_and_cannot_be_typed() -> None:
    assert (LETTERS.padding, WORDS.padding) == (3, None)
    assert LETTERS.decode([0, 3, 1, 3, 3]) == "ab"
    with pytest.raises(InputError):
        LETTERS.number(PADDING)


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(InputError, match=r"prompt must be written in the backbone's tokens, 'abc', got d"):
        LETTERS.encode("ad", "prompt")
    for tokens, separator in ((("a",), ""), (("a", "a"), ""), (("a", "bc"), "")):
        with pytest.raises(InputError, match="vocabulary"):
            Vocabulary(tokens, separator)
