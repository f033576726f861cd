"""Progress of a run: bars on a terminal, log lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from workers.messages import Message


class Advance(Protocol):
    """Called as work is done: how much, and what else is worth showing beside it."""

    def __call__(self, done: int, note: str = "") -> None: ...


LINE_EVERY_S = 10.0


class Progress(Protocol):
    """A display of progress. Phases may overlap."""

    def phase(self, title: str, total: int, unit: str) -> AbstractContextManager[Advance]: ...
    def say(self, text: str) -> None: ...


class TerminalProgress:
    """Rich bars for a person."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: RichProgress | None = None

    @contextmanager
    def phase(self, title: str, total: int, unit: str) -> Iterator[Advance]:
        bars = self._bars = self._bars or self._new()
        bar = bars.add_task(title, total=total, note="", unit=unit)

        def advance(done: int, note: str = "") -> None:
            bars.update(bar, advance=done, note=note)

        try:
            yield advance
        finally:
            bars.stop_task(bar)
            if all(task.stop_time is not None for task in bars.tasks):
                bars.stop()
                self._bars = None

    def _new(self) -> RichProgress:
        bars = RichProgress(
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
        )
        bars.start()
        return bars

    def say(self, text: str) -> None:
        self.console.print(text)


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


class Phases:
    """Phases that overlap, each shown from its first job to its last; use as a context manager."""

    def __init__(self, progress: Progress, totals: Mapping[str, int]) -> None:
        self._progress, self._totals = progress, totals
        self._shown = dict[str, Advance]()
        self._done = dict[str, int]()
        self._open = dict[str, ExitStack]()

    def begin(self, title: str, unit: str) -> None:
        """A job of this phase is about to be done."""
        if title not in self._shown:
            stack = self._open[title] = ExitStack()
            total = self._totals.get(title, 0)
            self._shown[title] = stack.enter_context(self._progress.phase(title, total, unit))

    def advance(self, title: str, done: int, note: str = "") -> None:
        """So much of it has been done."""
        self._shown[title](done, note)
        self._done[title] = self._done.get(title, 0) + done
        if self._done[title] >= self._totals.get(title, 0) and title in self._open:
            self._open.pop(title).close()

    def __enter__(self) -> "Phases":
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            self._open.popitem()[1].close()


def progress_on(console: Console) -> Progress:
    """Bars where a person looks on; lines in a file or a pipe, where bars would show nothing until their end."""
    if console.is_terminal:
        return TerminalProgress(console)
    return LogProgress(lambda text: console.print(text, markup=False, soft_wrap=True))


def listener(progress: Progress) -> Callable[[Message], None] | None:
    """What takes remarks of workers: a log does, a terminal with bars on it does not."""
    return (lambda message: progress.say(str(message))) if isinstance(progress, LogProgress) else None
