"""Calls into native libraries, made safe for the end of the interpreter and for forks.

While a thread computes in OpenVINO, hnswlib or OpenCV, it does not hold the interpreter's lock. If the interpreter
ends meanwhile, Python ends a daemon thread at the moment it wants the lock back, by unwinding its stack through the
C++ code, and C++ then aborts the whole process: "terminate called without an active exception". Web servers run
requests in daemon threads, so this concerns programs that never started a thread themselves.

Therefore every such call is counted. When the interpreter ends, it waits until the running calls of all threads are
finished, and a daemon thread that begins another one ends instead.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_LONGEST_WAIT = 30.0  # seconds for the calls that still run when the interpreter ends


class ForkSafeLock:
    """A lock that is free in a forked child, also if another thread of the parent held it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def reset(self) -> None:
        """Replace the lock by a free one."""
        self._lock = threading.Lock()


class _Calls:
    """Count the running native calls of all threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start with no running call, as a forked child does."""
        self._mutex = threading.Lock()  # entered directly where nothing waits: a condition adds calls of Python
        self._condition = threading.Condition(self._mutex)
        self._running = 0
        self._ended = False
        self._depth = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._depth, "value", 0)
        if not depth:
            with self._mutex:
                if self._ended and threading.current_thread().daemon:
                    raise SystemExit  # ends the thread without a message
                self._running += 1
        self._depth.value = depth + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth.value -= 1
        if not self._depth.value:
            with self._mutex:
                self._running -= 1
                if self._ended:
                    self._condition.notify_all()

    def finish(self) -> None:
        """Let daemon threads begin no more calls, and wait for the running ones."""
        with self._condition:
            self._ended = True
            self._condition.wait_for(lambda: not self._running, _LONGEST_WAIT)


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
_calls = _Calls()


def native_call(function: Function) -> Function:
    """Mark a function that computes in a native library; see the module."""

    @functools.wraps(function)
    def counted(*arguments: Any, **options: Any) -> Any:
        with _calls:
            return function(*arguments, **options)

    return cast(Function, counted)


def _after_fork() -> None:
    """Forget, in a forked child, what the other threads of the parent were doing."""
    _calls.reset()
    for lock in list(_locks):
        lock.reset()


atexit.register(lambda: _calls.finish())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
