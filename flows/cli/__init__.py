"""The command line, `lsd`: where its commands are run and their errors become one line and an exit code.

Wrong input ends with one line and exit code 2, before any work; a grid in which a cell failed with 1.
"""

import os
import re
import signal
import sys
from types import FrameType
from typing import Any, Never

from cyclopts import CycloptsError
from rich.text import Text

from flows.cli import bench, doctor, export, grid, report, samplers, study, train, upkeep  # noqa: F401 (commands)
from flows.cli.shared import app, complaints
from flows.settings import name_the_user, trust_loopback
from lsd_core.errors import InputError, printable, shortened
from lsd_core.numerics.allocator import keep_freed_memory


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    signal.signal(signal.SIGTERM, _terminated)
    trust_loopback(os.environ)
    name_the_user(os.environ)
    keep_freed_memory()
    try:
        result: Any = app(arguments, result_action="return_value", exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        _complain(f"{shortened(' '.join(str(error).split()))} (see lsd --help)")
        sys.exit(2)
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _complain(_of_a_file(error))
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:  # torch says it by a RuntimeError of its own
        if not (isinstance(error, MemoryError) or re.search("alloc|out of memory", str(error))):
            raise
        asked = re.search("tried to allocate [0-9.]+ [A-Za-z]+", str(error))
        shown = asked[0] if asked else "too much"
        _complain(str(InputError("memory", "hold what is asked for", shown, "ask for fewer or smaller ones")))
        sys.exit(2)
    except KeyboardInterrupt:
        complaints.print("interrupted; run the same command again to resume")
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


def _complain(text: str) -> None:
    """One line of the error output."""
    complaints.print(Text.assemble(("error:", "bold red"), " ", printable(text)))


def _of_a_file(error: OSError) -> str:
    """Which file could not be read or written, and why."""
    reason = error.strerror or type(error).__name__
    return str(InputError(str(error.filename or "a file"), "be a file that can be read or written", reason))


def _terminated(number: int, frame: FrameType | None) -> Never:
    """Leave as an interrupt does, so that workers and servers that were started end too."""
    complaints.print("terminated; run the same command again to resume")
    sys.exit(128 + number)
