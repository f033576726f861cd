"""Retries: after a store or server that did not answer, or a worker that died. Everything else fails at once.

One rule for exceptions and for what workers report, and one layer: jobs and what is between them are tried again by
the scheduler, the driver's other steps by Prefect.
"""

from collections.abc import Mapping
from typing import Any

from lsd_core.errors import InputError, Unreachable
from workers.pool import Failure, WorkerNotBuilt

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
