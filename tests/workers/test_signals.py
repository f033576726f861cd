"""A signal is heard as it is raised while something is asked that would swallow it."""

import os
import signal
import threading

import pytest

from workers.signals import heard_meanwhile


class Told(Exception):
    """What a handler raises here."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_handler_raises_comes_out_before_the_answer(number: signal.Signals) -> None:
    def handler(number: int, frame: object) -> None:
        raise Told(number)

    swallowed: list[BaseException] = []
    release = threading.Event()

    def ask() -> None:
        assert signal.getsignal(number) is handler  # Prefect looks whether its own is in place
        os.kill(os.getpid(), number)
        try:
            assert release.wait(30)
        except BaseException as error:
            swallowed.append(error)

    before = signal.signal(number, handler)
    try:
        with pytest.raises(Told):
            heard_meanwhile(ask)
        assert not release.is_set()
    finally:
        signal.signal(number, before)
        release.set()
    assert not swallowed


def test_answers_and_errors_come_back_as_they_are() -> None:
    assert heard_meanwhile(lambda: 7) == 7
    with pytest.raises(KeyError, match="own"):
        heard_meanwhile(lambda: {}["own"])


def test_a_thread_that_hears_no_signals_asks_by_itself() -> None:
    asked_by = []
    thread = threading.Thread(
        target=lambda: heard_meanwhile(lambda: asked_by.append(threading.current_thread()))
    )
    thread.start()
    thread.join()
    assert asked_by == [thread]
