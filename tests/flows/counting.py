"""Functions entered by some work: a measure of it that no clock and no neighbour can change."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

PYTHON = ("call",)
PYTHON_AND_C = ("call", "c_call")


def calls_of(work: Callable[[], Any], events: tuple[str, ...] = PYTHON_AND_C) -> int:
    """How many functions are entered, of Python and of C, or of those of `events` alone."""
    count = 0

    def entered(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in events

    sys.setprofile(entered)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
