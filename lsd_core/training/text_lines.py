"""Lines of a text file, plain or gzipped, read one at a time in bounded memory."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lsd_core.errors import InputError

Line = tuple[int, str | None]
"""Number of a line, and what is written there; None where that is too long to be held."""

MOST_CHARACTERS = 2**20
"""Of a line that is held: no file needs more memory than a few of these."""
RULE = "be text in UTF-8, one sequence a line"
NO_BYTE = re.compile("[\udc80-\udcff]")  # as `surrogateescape` writes a byte that is not UTF-8


@dataclass
class Ends:
    """How the lines of a file begin and end, as far as it is read."""

    mark: bool = False
    """Whether the file begins with a byte order mark."""
    returns: bool = False
    """Whether lines end with CR LF."""


def text_lines(path: Path, ends: Ends) -> Iterator[Line]:
    """Lines with LF at their ends; raises InputError for bytes that are not UTF-8 and for a broken gzip file."""
    try:
        with path.open("rb") as raw:
            binary = gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw
            head = binary.peek(4)[:4]
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise InputError(str(path), RULE, "UTF-16", "iconv -f UTF-16 -t UTF-8 converts it")
            if head.startswith(b"\x1f\x8b"):
                raise InputError(str(path), RULE, "a gzip file", "let its name end with .gz")
            ends.mark = head.startswith(codecs.BOM_UTF8)
            text = io.TextIOWrapper(cast(BinaryIO, binary), encoding="utf-8-sig", errors="surrogateescape")
            yield from _checked(text, path)
            ends.returns = "\r\n" in (text.newlines or ())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(str(path), "be a whole gzip file", str(error)) from None


def _checked(text: io.TextIOWrapper, path: Path) -> Iterator[Line]:
    number, begun = 1, False
    while piece := text.readline(MOST_CHARACTERS):
        if "\0" in piece:
            raise InputError(str(path), RULE, f"binary data, a zero byte in line {number}")
        if not piece.isascii() and (byte := NO_BYTE.search(piece)):
            shown = f"the byte 0x{ord(byte[0]) - 0xDC00:02x} in line {number}"
            raise InputError(str(path), RULE, shown, "iconv -f LATIN1 -t UTF-8 converts Latin-1")
        if not piece.endswith("\n") and len(piece) == MOST_CHARACTERS:
            begun = True
            continue
        yield number, None if begun else piece
        number, begun = number + 1, False
    if begun:
        yield number, None


def without_ends(lines: Iterator[Line]) -> Iterator[Line]:
    """Lines without their ends, which may be any that `str.splitlines` knows."""
    for number, line in lines:
        if line is None:
            yield number, None
        else:
            yield from ((number, part) for part in line.splitlines())
