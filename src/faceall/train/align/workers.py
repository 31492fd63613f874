"""Processes that each hold one object and work through batches in order; none outlives its parent."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from threading import Event
from types import TracebackType
from typing import Any, TypeVar

from faceall.errors import AlignError
from faceall.gallery.registration.processes import core_shares, serve_parent

Given = TypeVar("Given")
Result = TypeVar("Result")

_AHEAD = 2  # batches per process that are handed out before their turn

_held: Any = None
"""In a worker: what `make` made."""


class Workers:
    """A pool of processes, each with an object of its own.

    count      processes
    make       makes the object, once in each process
    arguments  for it; they travel to the processes, as do batches and results
    """

    def __init__(self, count: int, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")  # forks of a process with threads hang
        self._count = count
        shares = context.SimpleQueue()
        for share in core_shares(count):
            shares.put(share)
        self._pool = ProcessPoolExecutor(count, context, _start, (shares, make, arguments))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, call: Callable[[Any, Given], Result], batches: Iterable[Given], stop: Event) -> Iterator[Result]:
        """`call(object, batch)` for every batch, in order; ends early once `stop` is set.

        Raises what `call` raises, and AlignError where a process was killed.
        """
        waiting: deque[Future[Result]] = deque()
        try:
            for batch in batches:
                if stop.is_set():
                    return
                waiting.append(self._pool.submit(_work, call, batch))
                if len(waiting) >= self._count * _AHEAD:
                    yield waiting.popleft().result()
            while waiting and not stop.is_set():
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise AlignError(
                "a worker process has died, perhaps for want of memory: run again with fewer workers; "
                "what is finished is kept"
            ) from error


def _start(shares: SimpleQueue[frozenset[int]], make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """In a new worker: take a share of the cores, and make the object."""
    global _held
    serve_parent(shares.get())
    _held = make(*arguments)


def _work(call: Callable[[Any, Given], Result], batch: Given) -> Result:
    return call(_held, batch)
