"""Tune glibc malloc to keep freed memory: page faults cost up to half of a small network's draw."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
KEPT_BYTES = 512 * 2**20
MAPPED_BYTES = 32 * 2**20  # the most that glibc accepts


def keep_freed_memory() -> bool:
    """Let this process keep up to KEPT_BYTES that it has freed; False where the C library is not glibc.

    By itself, glibc gives large arrays back to the kernel, which clears every page of the next one: on a CPU, up to
    half the time of a draw from a small network. For processes that are ours (workers, the command line), never for
    one that merely imports us.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(_MMAP_THRESHOLD, MAPPED_BYTES))


def return_freed_memory() -> bool:
    """Give what this process has freed back to the kernel, as for a measurement of what is in use; False where the C
    library is not glibc, or had nothing to give."""
    return platform.libc_ver()[0] == "glibc" and bool(ctypes.CDLL(None).malloc_trim(0))
