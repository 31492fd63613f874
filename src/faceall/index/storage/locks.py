"""A readers-writer lock for threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class SharedLock:
    """Lock that searches share and changes hold exclusively; a waiting change has priority over later searches."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()  # entered directly where nothing waits: a condition adds calls of Python
        self._condition = threading.Condition(self._mutex)
        self._sharing = 0
        self._waiting = 0
        self._alone = False
        self._shared = _Shared(self)

    def shared(self) -> _Shared:
        """Hold the lock together with others."""
        return self._shared

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
        """Acquire a share; wait while another thread holds the lock exclusively or waits for it."""
        lock = self._lock
        with lock._mutex:
            while lock._alone or lock._waiting:
                lock._condition.wait()
            lock._sharing += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the share; the last one wakes waiting changes."""
        lock = self._lock
        with lock._mutex:
            lock._sharing -= 1
            if lock._waiting and not lock._sharing:
                lock._condition.notify_all()
