"""Rows of numbers in temporary files that are mapped into memory, for data that may be larger than memory."""

import errno
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from lsd_core.errors import InputError

CHUNK = 2**20  # numbers compared at once


class Spool:
    """Rows of `width` numbers in a file without a name, which ends with its last user."""

    def __init__(self, code: str, width: int) -> None:
        self.code, self.width, self.rows = code, width, 0
        self._file = tempfile.TemporaryFile(prefix="lsd-")  # noqa: SIM115 (its mapping outlives it)

    def append(self, row: array | bytes) -> None:
        """Write a row; it is on the disk after `mapped`."""
        with _room():
            self._file.write(row)
        self.rows += 1

    def mapped(self) -> np.ndarray:
        """The rows (rows, width), read from the disk where they are used."""
        with _room():
            self._file.flush()
        shape = (self.rows, self.width)
        if not self.rows:
            return np.empty(shape, self.code)
        return np.memmap(self._file, self.code, "r+", shape=shape)


def count_repeated(values: np.ndarray) -> int:
    """How many of the values (n,) are equal to another that is counted already; sorts them in place."""
    values.sort()
    last = len(values) - 1
    parts = ((begin, min(begin + CHUNK, last)) for begin in range(0, last, CHUNK))
    return sum(int((values[begin:end] == values[begin + 1 : end + 1]).sum()) for begin, end in parts)


@contextmanager
def _room() -> Iterator[None]:
    """Say where the room is missing when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        rule = "be set to a folder with room for the file's tokens"
        raise InputError("TMPDIR", rule, tempfile.gettempdir(), "--length keeps them fewer") from None
