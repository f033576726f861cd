"""Rows of numbers in temporary files that are mapped into memory, for data that may be larger than memory."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from lsd_core.errors import InputError

CHUNK = 2**20  # numbers compared at once


class Spool:
    """Rows of `width` numbers of one type, in a file without a name that ends with its last user."""

    def __init__(self, code: str, width: int) -> None:
        self._type, self._width = np.dtype(code), width
        self._file = tempfile.TemporaryFile(prefix="lsd-")  # noqa: SIM115 (its mapping outlives it)
        self.write = self._file.write
        """Appends the bytes of a row; to be called where a full disk is named (`room`)."""

    def mapped(self) -> np.ndarray:
        """The rows (n, width), read from the disk where they are used."""
        self._file.flush()
        shape = (self._file.tell() // (self._type.itemsize * self._width), self._width)
        return (
            np.memmap(self._file, self._type, "r+", shape=shape) if shape[0] else np.empty(shape, self._type)
        )


def smallest_type(count: int) -> str:
    """The smallest integer type that holds 0 ... count - 1, as `array` and numpy both name it."""
    return next(code for code, most in (("B", 2**8), ("h", 2**15), ("i", 2**31)) if count <= most)


def count_repeated(values: np.ndarray) -> int:
    """How many of the values (n,) are equal to another that is counted already; sorts them in place."""
    values.sort()
    last = len(values) - 1
    parts = ((begin, min(begin + CHUNK, last)) for begin in range(0, last, CHUNK))
    return sum(int((values[begin:end] == values[begin + 1 : end + 1]).sum()) for begin, end in parts)


@contextmanager
def room() -> Iterator[None]:
    """Raise InputError that names the folder of temporary files where its disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        rule = "be set to a folder with room for the file's tokens"
        raise InputError("TMPDIR", rule, tempfile.gettempdir(), "--length keeps them fewer") from None
