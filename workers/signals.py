"""Wait for Ray in a thread: what a signal handler raises inside Ray's compiled code is lost or changed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def heard_meanwhile(ask: Callable[[], Answer]) -> Answer:
    """What `ask()` returns or raises, asked from a thread, while this one goes on hearing signals.

    What a handler raises leaves this call at once, as it was raised, and the answer is dropped: give it only what
    ends by itself and whose answer may be lost. Handlers stay in their place, because Prefect calls a cancelled flow
    crashed when it does not find its own. Threads other than the main one hear no signals and ask by themselves.
    """
    if threading.current_thread() is not threading.main_thread():
        return ask()
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="asking-ray", daemon=True).start()
    return answer.result()
