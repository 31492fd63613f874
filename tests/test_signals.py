"""`stoppable`: the first signal asks for an orderly end, the second one has its usual effect."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from faceall.signals import stoppable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_sets_the_event_and_calls(number: int) -> None:
    """The event is set, the function is called once, and work goes on."""
    calls: list[str] = []
    with stoppable(call=lambda: calls.append("called")) as stopped:
        assert not stopped.is_set()
        os.kill(os.getpid(), number)
        assert stopped.wait(5)
    assert calls == ["called"]


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Python's own handler, which a process that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_second_ctrl_c_interrupts() -> None:
    """The second SIGINT raises KeyboardInterrupt, as without `stoppable`."""
    with pytest.raises(KeyboardInterrupt), stoppable() as stopped:  # noqa: PT012 - the signal comes later
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped.wait(5)
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(5)


def test_handlers_are_restored() -> None:
    """Afterwards the handlers are those of before, whether a signal came or not."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    with stoppable():
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_sigterm_can_be_left_alone() -> None:
    """With `terminate=False` only Ctrl-C is handled."""
    before = signal.getsignal(signal.SIGTERM)
    with stoppable(terminate=False):
        assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_get_an_event_that_stays_unset() -> None:
    """Only the main thread can receive signals; another one gets no error."""
    found: list[bool] = []

    def work() -> None:
        with stoppable() as stopped:
            found.append(stopped.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
