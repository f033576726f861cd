"""Retries: after a store or server that did not answer, or a worker that died. Everything else fails at once.

One rule for exceptions and for what workers report, and one layer: jobs and what is between them are tried again by
the scheduler, the driver's tasks by Prefect, and what it asks the store before by `patiently`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from lsd_core.errors import InputError, Unreachable
from workers.pool import Failure, WorkerNotBuilt

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

DELAYS_S = (2, 10, 30, 60)
"""Together more than a server needs to restart."""

# MLflow's word for what its server said, or for not having had an answer.
_PASSING_CODES = (
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "ABORTED",
    "CANCELLED",
)
# Of a worker's failure only the name travels. The pool has seen to workers that died.
_PASSING_KINDS = (Unreachable.__name__, ConnectionError.__name__, TimeoutError.__name__)


def may_pass(error: BaseException | Failure) -> bool:
    """Whether the same work may succeed a little later."""
    if isinstance(error, Failure):
        return error.kind in _PASSING_KINDS
    if isinstance(error, WorkerNotBuilt) and error.__cause__ is not None:
        return may_pass(error.__cause__)
    if isinstance(error, InputError):
        return isinstance(error, Unreachable)
    code = getattr(error, "error_code", None)
    if code is not None:
        return code in _PASSING_CODES
    return isinstance(error, (ConnectionError, TimeoutError)) or _is_of(error, "requests", "urllib3", "ray")


def patiently(
    say: Callable[[str], None], ask: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
) -> Answer:
    """What `ask` returns, asked again after each of DELAYS_S as long as its error may pass; it may be repeated."""
    for delay_s in DELAYS_S:
        try:
            return ask(*args, **kwargs)
        except Exception as error:
            if not may_pass(error):
                raise
            say(f"tried again in {delay_s} s: {type(error).__name__}: {error}".splitlines()[0])
            time.sleep(delay_s)
    return ask(*args, **kwargs)


def if_it_may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Prefect asks this before it tries a task again."""
    try:
        state.result()
    except BaseException as error:
        return may_pass(error)
    return False


PATIENT: Mapping[str, Any] = {
    "retries": len(DELAYS_S),
    "retry_delay_seconds": list(DELAYS_S),
    "retry_condition_fn": if_it_may_pass,
}
"""Options of a task that talks to servers and may be repeated: everything here may."""


def _is_of(error: BaseException, *packages: str) -> bool:
    """Whether an exception's class comes from one of these packages."""
    return type(error).__module__.partition(".")[0] in packages
