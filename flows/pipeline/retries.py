"""What is worth another try: a place that did not answer, a worker that died. Everything else fails at once."""

from collections.abc import Mapping
from typing import Any

from lsd_core.errors import InputError, Unreachable
from workers.pool import WorkerNotBuilt

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


def may_pass(error: BaseException) -> bool:
    """Whether the same work may succeed a little later."""
    if isinstance(error, WorkerNotBuilt) and error.__cause__ is not None:
        return may_pass(error.__cause__)
    if isinstance(error, InputError):
        return isinstance(error, Unreachable)
    code = getattr(error, "error_code", None)
    if code is not None:
        return code in _PASSING_CODES
    passing = getattr(error, "may_pass", None)
    if passing is not None:
        return bool(passing)
    return isinstance(error, (ConnectionError, TimeoutError)) or _is_of(error, "requests", "urllib3", "ray")


def failure_may_pass(kind: str) -> bool:
    """The same for a worker's failure, known by its exception's name. The pool has seen to workers that died."""
    return kind in (Unreachable.__name__, ConnectionError.__name__, TimeoutError.__name__)


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
