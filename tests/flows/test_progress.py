"""Where a run shows how far it is: bars for a person, lines for a file."""

from io import StringIO

from rich.console import Console

from flows.pipeline.progress import LogProgress, TerminalProgress, listener, progress_on


def test_a_file_gets_lines_while_the_work_is_done() -> None:
    file = StringIO()
    progress = progress_on(Console(file=file, width=20))
    with progress.phase("teacher of a long name", 10, "trajectories") as advance:
        assert file.getvalue() == "teacher of a long name: 10 trajectories\n"
        advance(10, "[3.2/s]")
    assert "teacher of a long name: done in" in file.getvalue()
    assert "([3.2/s])" in file.getvalue()
    assert isinstance(progress, LogProgress)
    assert listener(progress) is not None


def test_a_terminal_gets_bars() -> None:
    progress = progress_on(Console(file=StringIO(), force_terminal=True))
    assert isinstance(progress, TerminalProgress)
    assert listener(progress) is None
