"""What becomes of an input: it works, is refused in one line, or is reported; anything else is a fault."""

import io
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from lsd_core.errors import InputError

WORKS, REFUSED, REPORTED = "works", "refused (exit 2, one line)", "reported (exit 1)"
OUTCOMES = (WORKS, REFUSED, REPORTED)
LONGEST_LINE = 3000
MOST_CPU_S = 10.0
MOST_BYTES = 6 * 2**30
"""Of address space beside what the process has: an input that asks for more fails at once."""


@dataclass(frozen=True)
class Case:
    """One input."""

    kind: str
    name: str
    run: Callable[[], object]


@dataclass
class Tally:
    """Counts by kind and outcome, and every fault in words."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return sum(sum(count.values()) for count in self.counts.values())

    def lines(self) -> Iterator[str]:
        """A table for people."""
        yield (
            f"{'inputs':<14}{'number':>8}"
            + "".join(f"{outcome:>30}" for outcome in OUTCOMES)
            + f"{'faults':>8}"
        )
        total = sum(self.counts.values(), Counter[str]())
        for kind, count in [*self.counts.items(), ("all", total)]:
            row = "".join(f"{count[outcome]:>30}" for outcome in OUTCOMES)
            yield f"{kind:<14}{sum(count.values()):>8}{row}{count['fault']:>8}"


class Hang(BaseException):
    """An input took more processor time than any may."""


def tried(cases: Iterable[Case]) -> Tally:
    """Run every case in this process."""
    tally = Tally()
    with _bounded():
        for case in cases:
            outcome, why = _outcome(case)
            tally.counts.setdefault(case.kind, Counter())[outcome] += 1
            if outcome == "fault":
                tally.faults.append(f"{case.kind}: {case.name[:300]!r}: {why}")
    return tally


def command(arguments: list[str]) -> Callable[[], object]:
    """A command line, run as it is typed; its exit code and what it printed decide."""
    from flows.cli import main

    def run() -> object:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as left:
                code = left.code
        return Ended(code, out.getvalue(), err.getvalue())

    return run


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: Any
    out: str
    err: str

    def outcome(self) -> tuple[str, str]:
        lines = [line for line in self.err.splitlines() if line.strip()]
        if "Traceback" in self.out + self.err:
            return "fault", "a traceback is printed"
        if self.code == 0:
            return WORKS, ""
        if self.code == 1 and self.out.strip():
            return REPORTED, ""
        if self.code == 2 and len(lines) == 1 and _is_line(lines[0]):
            return REFUSED, ""
        return "fault", f"exit {self.code}, {len(lines)} lines: {self.err[:300]!r}"


def _outcome(case: Case) -> tuple[str, str]:
    try:
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
        try:
            result = case.run()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return result.outcome() if isinstance(result, Ended) else (WORKS, "")
    except InputError as error:
        return (REFUSED, "") if _is_line(str(error)) else ("fault", f"no line: {str(error)[:300]!r}")
    except (Exception, Hang) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "fault", f"{type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_LINE


@contextmanager
def _bounded() -> Iterator[None]:
    """Hangs are interrupted, and what no machine holds fails instead of filling this one."""

    def interrupt(*_: object) -> None:
        raise Hang(f"more than {MOST_CPU_S:g} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        have = int(file.read().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, interrupt)
    resource.setrlimit(resource.RLIMIT_AS, (have + MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, handler)
