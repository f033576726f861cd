"""A missing or damaged file is told apart from a store that does not answer, which says nothing of its files."""

from collections.abc import Callable
from typing import TypeVar

from lsd_core.errors import InputError, Unreachable

Content = TypeVar("Content")
Otherwise = TypeVar("Otherwise")


def damage_in(read: Callable[[], object]) -> str | None:
    """Why a file cannot be read, in one line; None where it can. A store that does not answer is raised."""
    try:
        read()
    except Unreachable:
        raise
    except InputError as error:
        return str(error)
    return None


def unless_damaged(read: Callable[[], Content], otherwise: Otherwise) -> Content | Otherwise:
    """What `read` returns, or the other where the file is missing or damaged."""
    try:
        return read()
    except Unreachable:
        raise
    except InputError:
        return otherwise
