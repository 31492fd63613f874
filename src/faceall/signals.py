"""Stop work in an orderly way at Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stoppable(*, terminate: bool = True, call: Callable[[], None] | None = None) -> Iterator[threading.Event]:
    """Set an event at the first signal, after which the caller finishes its step and ends.

    A second signal has its usual effect, so it ends the process. Outside the main thread, which alone receives
    signals, the event is never set.

    Parameters
    ----------
    terminate : bool, default True
        Whether SIGTERM counts as well as SIGINT (Ctrl-C).
    call : callable, optional
        Called after the event was set.

    Yields
    ------
    threading.Event
        The event.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    numbers = (signal.SIGINT, signal.SIGTERM) if terminate else (signal.SIGINT,)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, frame: object) -> None:
        restore()
        stopped.set()
        if call is not None:
            call()

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        restore()
