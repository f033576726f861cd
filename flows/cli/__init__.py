"""The command line, `lsd`: where its commands are run and their errors become one line and an exit code.

Wrong input ends with one line and exit code 2, before any work; a grid in which a cell failed with 1.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any, Never

from cyclopts import CycloptsError
from rich.markup import escape

from flows.cli import bench, doctor, export, grid, report, samplers, study, train, upkeep  # noqa: F401 (commands)
from flows.cli.shared import app, complaints
from lsd_core.errors import InputError
from lsd_core.numerics.allocator import keep_freed_memory


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    signal.signal(signal.SIGTERM, _terminated)
    keep_freed_memory()
    try:
        result: Any = app(arguments, result_action="return_value", exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        text = " ".join(str(error).split())
        complaints.print(f"[bold red]error:[/] {escape(text)} (see lsd --help)")
        sys.exit(2)
    except InputError as error:
        complaints.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        complaints.print(f"[bold red]error:[/] {escape(_of_a_file(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        complaints.print("interrupted; run the same command again to resume")
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


def _of_a_file(error: OSError) -> str:
    """Which file could not be read or written, and why."""
    reason = error.strerror or type(error).__name__
    return str(InputError(str(error.filename or "a file"), "be a file that can be read or written", reason))


def _terminated(number: int, frame: FrameType | None) -> Never:
    """Leave as an interrupt does, so that workers and servers that were started end too."""
    complaints.print("terminated; run the same command again to resume")
    sys.exit(128 + number)
