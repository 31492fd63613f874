"""Processes that each hold one object and process batches in order; none survives its parent."""

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

_AHEAD = 2  # batches per process that are submitted in advance

_held: Any = None
"""In a worker: the object that `make` returned."""


class Workers:
    """A pool of processes, each with an object of its own.

    Parameters
    ----------
    count : int
        Number of processes.
    make : callable
        Creates the object, once per process.
    *arguments
        Arguments of `make`; they are pickled, as are batches and results.
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
        """Yield `call(object, batch)` for every batch, in order.

        Parameters
        ----------
        call : callable
            A function that can be pickled.
        batches : iterable
            Its second argument, one after the other.
        stop : threading.Event
            Ends the run early.

        Yields
        ------
        object
            What `call` returned.

        Raises
        ------
        AlignError
            If a process was killed; also whatever `call` raises.
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
                "a worker process has died, perhaps because memory ran out: run again with fewer workers; "
                "finished photos are kept"
            ) from error


def _start(shares: SimpleQueue[frozenset[int]], make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """In a new worker: take a share of the cores and create the object."""
    global _held
    serve_parent(shares.get())
    _held = make(*arguments)


def _work(call: Callable[[Any, Given], Result], batch: Given) -> Result:
    """In a worker: process one batch."""
    return call(_held, batch)
