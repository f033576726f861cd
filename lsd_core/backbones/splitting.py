"""Tokens of a written sequence: its characters, its words, SMILES tokens, k-mers, or those of a list."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lsd_core.errors import InputError

SMILES_TOKEN = (
    r"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]"
)
"""A token of a SMILES or reaction string: Schwaller et al. 2018 (doi:10.1039/C8SC02339E) and 2019 (the Molecular
Transformer, doi:10.1021/acscentsci.9b00576). An atom in brackets, `Br`, `Cl` and a ring number `%12` are one each."""
SPLITS = "characters, spaces, regex, kmer:K with K in 1..99"
LISTED = "listed"


@dataclass(frozen=True)
class Splitting:
    """A way to cut text into tokens; joined by the separator, they are the text again."""

    name: str
    separator: str
    cut: Callable[[str], list[str]]
    """Tokens in order. Text that is no token comes out as single characters, for which `is_token` is false."""
    is_token: Callable[[str], bool] = lambda piece: True


def splitting(name: str, listed: Iterable[str] = ()) -> Splitting:
    """The splitting of that name; `listed` are the tokens of `listed`, which takes the longest that fits first.

    Every sequence has one k-mer after another, without overlap, so that they can be joined again; its last one is
    shorter where the length is no multiple of k. Raises InputError.
    """
    if name == "characters":
        return Splitting(name, "", list)
    if name == "spaces":
        return Splitting(name, " ", str.split)
    if name == "regex":
        whole, either = re.compile(SMILES_TOKEN), re.compile(f"{SMILES_TOKEN}|.", re.DOTALL)
        return Splitting(
            name,
            "",
            lambda text: either.findall(text.strip()),
            lambda piece: whole.fullmatch(piece) is not None,
        )
    if size := re.fullmatch("kmer:([1-9][0-9]?)", name):
        pieces = re.compile(f".{{1,{size[1]}}}", re.DOTALL)
        return Splitting(name, "", lambda text: pieces.findall(text.strip()))
    if name == LISTED:
        tokens = frozenset(listed) - {""}
        return Splitting(name, "", _longest_first(tokens), tokens.__contains__)
    raise InputError("split", f"be one of {SPLITS}, or a file of tokens, one a line", name)


def _longest_first(tokens: frozenset[str]) -> Callable[[str], list[str]]:
    """Cuts from left to right into the longest token that fits, or a single character where none does."""
    sizes = sorted({len(token) for token in tokens}, reverse=True)

    def cut(text: str) -> list[str]:
        pieces, begin = [], 0
        while begin < len(text):
            fitting = (text[begin : begin + size] for size in sizes)
            pieces.append(next((piece for piece in fitting if piece in tokens), text[begin]))
            begin += len(pieces[-1])
        return pieces

    return cut
