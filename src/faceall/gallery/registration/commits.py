"""Store groups of files one after the other; in the background, if the gallery waits for a server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Commits(Generic[Item, Result]):
    """Stores groups in their order, one at a time.

    Parameters
    ----------
    store : callable
        Stores a group and returns its results.
    background : bool
        Store in a thread, while the caller prepares the next group.
    """

    def __init__(self, store: Callable[[list[Item]], list[Result]], *, background: bool) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "faceall-store") if background else None
        self._running: Future[list[Result]] | None = None

    def add(self, group: list[Item]) -> list[Result]:
        """Store a group after the one before; return the results of all groups that are stored."""
        found = self.finish()
        if not group:
            return found
        if self._thread is None:
            return [*found, *self._store(group)]
        self._running = self._thread.submit(self._store, group)
        return found

    def stored(self) -> list[Result]:
        """Return the results of the group that was stored since the last call; do not wait."""
        return self.finish() if self._running is not None and self._running.done() else []

    def finish(self) -> list[Result]:
        """Wait for the group that is being stored, and return its results."""
        running, self._running = self._running, None
        return [] if running is None else running.result()

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.shutdown()
