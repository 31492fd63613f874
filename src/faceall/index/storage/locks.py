"""A readers-writer lock for threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class SharedLock:
    """Lock that searches share and changes hold exclusively; a waiting change has priority over later searches."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._sharing = 0
        self._waiting = 0
        self._alone = False
        self._shared = _Shared(self)

    def shared(self) -> _Shared:
        """Hold the lock together with others."""
        return self._shared

    def enter_shared(self) -> None:
        """Acquire a share; wait while another thread holds the lock exclusively or waits for it."""
        with self._condition:
            while self._alone or self._waiting:
                self._condition.wait()
            self._sharing += 1

    def leave_shared(self) -> None:
        """Release the share; the last one wakes waiting changes."""
        with self._condition:
            self._sharing -= 1
            if self._waiting and not self._sharing:
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock exclusively."""
        with self._condition:
            self._waiting += 1
            try:
                self._condition.wait_for(lambda: not self._alone and not self._sharing)
                self._alone = True
            finally:
                self._waiting -= 1
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._alone = False
                self._condition.notify_all()


class _Shared:
    """Context manager of a share; one object is reused for all searches."""

    __slots__ = ("_lock",)

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.enter_shared()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.leave_shared()
