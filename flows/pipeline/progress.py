"""How a run shows that it lives: bars on a terminal, log lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from workers.messages import Told


class Advance(Protocol):
    """Called as work is done: how much, and what else is worth showing beside it."""

    def __call__(self, done: int, note: str = "") -> None: ...


LINE_EVERY_S = 10.0


class Progress(Protocol):
    """Somewhere to say what is going on."""

    def phase(self, title: str, total: int, unit: str) -> AbstractContextManager[Advance]: ...
    def say(self, text: str) -> None: ...


class TerminalProgress:
    """Rich bars for a person."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichProgress(*columns, console=self.console) as bars:
            bar = bars.add_task(title, total=total, note="")

            def advance(done: int, note: str = "") -> None:
                bars.update(bar, advance=done, note=note)

            yield advance

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)


class LogProgress:
    """Lines for a log: at the start, every ten seconds, and at the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Advance]:
        begin = last = time.monotonic()
        finished, noted = 0, ""

        def advance(done: int, note: str = "") -> None:
            nonlocal finished, last, noted
            finished += done
            noted = f" ({note})" if note else ""
            now = time.monotonic()
            if now - last >= LINE_EVERY_S and 0 < finished < total:
                last = now
                left = (now - begin) * (total - finished) / finished
                self.say(f"{title}: {finished}/{total} {unit}, about {left:.0f} s left{noted}")

        self.say(f"{title}: {total} {unit}")
        yield advance
        self.say(f"{title}: done in {time.monotonic() - begin:.1f} s{noted}")


def progress_on(console: Console) -> Progress:
    """Bars where a person looks on; lines in a file or a pipe, where bars would show nothing until their end."""
    if console.is_terminal:
        return TerminalProgress(console)
    return LogProgress(lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True))


def listener(progress: Progress) -> Callable[[Told], None] | None:
    """Who hears what workers tell: a log does, a terminal with bars on it does not."""
    return (lambda told: progress.say(str(told))) if isinstance(progress, LogProgress) else None


@dataclass
class Shown:
    """What a run leaves behind for whoever started it in this process."""

    progress: Progress
    run: Any = None
    outcome: Any = None


_shown: ContextVar[Shown | None] = ContextVar("shown", default=None)


@contextmanager
def showing(progress: Progress) -> Iterator[Shown]:
    """Runs started inside the block show themselves here instead of in the flow's log."""
    shown = Shown(progress)
    token = _shown.set(shown)
    try:
        yield shown
    finally:
        _shown.reset(token)


def current() -> Shown | None:
    """Where a run in this context is shown, if anywhere."""
    return _shown.get()
