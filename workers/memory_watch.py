"""Tells a pool whether its workers do not start because Ray kills them: a node has run out of memory."""

import time
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError

FIRST_S = 30.0  # without any worker, before the first trial; loading a network may take as long
TRIAL_S = 5.0  # ray looks at the memory several times a second
TRIALS = 2  # one may fall in a moment that passes


class MemoryWatch:
    """Asked again and again while a pool has no worker.

    Ray restarts an actor that its memory monitor killed without a word to the driver, for ever. A plain task that may
    not be retried is told why it was killed, so one is tried now and then.
    """

    def __init__(self) -> None:
        self._trial: Any = None
        self._killed = 0
        self._next_s = FIRST_S

    def look(self, waited_s: float) -> str:
        """What Ray says of the memory if it killed TRIALS trials in a row, else ""; `waited_s` without a worker."""
        if waited_s < FIRST_S:
            self._killed, self._next_s = 0, FIRST_S
        if self._trial is None:
            if waited_s >= self._next_s:
                self._trial = _sleep.remote(TRIAL_S)
            return ""
        if not ray.wait([self._trial], timeout=0)[0]:
            return ""
        trial, self._trial, self._next_s = self._trial, None, waited_s + FIRST_S / 2
        try:
            ray.get(trial)
        except OutOfMemoryError as error:
            self._killed += 1
            return _numbers(str(error)) if self._killed >= TRIALS else ""
        except RayError:
            return ""
        self._killed = 0
        return ""


@ray.remote(num_cpus=0, max_retries=0)
def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _numbers(message: str) -> str:
    """Of Ray's long message the sentence with the numbers."""
    sentences = [part.strip() for part in message.splitlines() if "used /" in part]
    return sentences[0] if sentences else message.splitlines()[0]
