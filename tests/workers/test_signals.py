"""Signals wait for the end of a block that must not be left by what their handlers raise."""

import os
import signal
import threading

import pytest

from workers.signals import signals_deferred


class Told(Exception):
    """What a handler raises here."""


def signalled(number: signal.Signals) -> bool:
    """Send this process a signal and stay long enough for its handler to be called."""
    os.kill(os.getpid(), number)
    return sum(range(100_000)) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_its_handler_at_the_end_of_the_block(number: signal.Signals) -> None:
    def handler(number: int, frame: object) -> None:
        raise Told(number)

    before = signal.signal(number, handler)
    done = False
    try:
        with pytest.raises(Told), signals_deferred():
            done = signalled(number)
        assert done
        assert signal.getsignal(number) is handler
        with pytest.raises(Told):  # and at once outside of it
            signalled(number)
    finally:
        signal.signal(number, before)


def test_an_error_of_the_block_comes_out_and_handlers_are_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="own"), signals_deferred():
        raise ValueError("own")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_have_no_handlers_to_defer() -> None:
    seen = []

    def work() -> None:
        with signals_deferred():
            seen.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen
