"""A team of worker processes on this machine.

The team keeps one promise. Each process uses its share of the cores and leaves Ctrl-C to its parent, which decides when
to stop. What a call returns or raises is handed back. A process that dies is reported and can be replaced. Every
process ends with its team, or with its parent if that is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

from faceall.cores import available_cores, limit_cores
from faceall.errors import WorkerLostError

Given = TypeVar("Given")
Result = TypeVar("Result")

_AHEAD = 2  # tasks per process that are submitted in advance


class ProcessTeam:
    """Some processes, by number; each does its tasks in order and can be replaced.

    Parameters
    ----------
    size : int
        Number of processes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._context = multiprocessing.get_context("spawn")  # forks of a process with threads hang
        self._shares = core_shares(size)
        self._threads = max(1, available_cores() // size)
        self._closed, self._open = self._context.Pipe(duplex=False)  # `_closed` can be read once `_open` is closed
        self._pools = [self._pool(worker) for worker in range(size)]

    def __enter__(self) -> ProcessTeam:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, worker: int, call: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Send a task to a process.

        Parameters
        ----------
        worker : int
            Number of the process.
        call : callable
            A function that can be pickled.
        *arguments
            Its arguments; they are pickled, as is the result.

        Raises
        ------
        WorkerLostError
            The process has died.
        """
        try:
            return self._pools[worker].submit(call, *arguments)
        except BrokenProcessPool as error:
            raise WorkerLostError from error

    def wait(self, tasks: Collection[Future[Any]]) -> Collection[Future[Any]]:
        """Wait for at least one of some tasks; return those that are done."""
        return wait(tasks, return_when=FIRST_COMPLETED).done

    def result(self, task: Future[Result]) -> Result:
        """Wait for a task and return its result.

        Raises
        ------
        WorkerLostError
            Its process has died; also whatever the call raised.
        """
        try:
            return task.result()
        except BrokenProcessPool as error:
            raise WorkerLostError from error

    def map(self, call: Callable[[Given], Result], items: Iterable[Given], stop: threading.Event) -> Iterator[Result]:
        """Yield `call(item)` for every item, in order.

        Parameters
        ----------
        call : callable
            A function that can be pickled.
        items : iterable
            Its arguments.
        stop : threading.Event
            Ends the run early.

        Yields
        ------
        object
            What `call` returned.

        Raises
        ------
        WorkerLostError
            A process has died; also whatever `call` raises.
        """
        waiting: deque[Future[Result]] = deque()
        for number, item in enumerate(items):
            if stop.is_set():
                return
            waiting.append(self.submit(number % self.size, call, item))
            if len(waiting) >= self.size * _AHEAD:
                yield self.result(waiting.popleft())
        while waiting and not stop.is_set():
            yield self.result(waiting.popleft())

    def restart(self, worker: int) -> None:
        """Start a new process in the place of one that has died."""
        self._pools[worker].shutdown(wait=False, cancel_futures=True)
        self._pools[worker] = self._pool(worker)

    def close(self) -> None:
        """End all processes at once; their unfinished work is lost."""
        self._open.close()
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown()
        self._closed.close()

    def _pool(self, worker: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, _start, (self._shares[worker], self._threads, self._closed))


def core_shares(count: int) -> list[frozenset[int]]:
    """Return the processor cores of each of `count` processes; empty if there are too few or unknown."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [frozenset(cores[number::count] if count <= len(cores) else ()) for number in range(count)]


def _start(share: frozenset[int], threads: int, closed: Connection) -> None:
    """Set up a new process.

    An engine starts a thread per core it may use; without shares the threads of all processes would compete. Of a
    container's quota, which all processes use up together, each takes its part.
    """
    if share:
        os.sched_setaffinity(0, share)
    limit_cores(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_team, args=(closed,), daemon=True).start()


def _end_with_team(closed: Connection) -> None:
    """End this process when the team is closed or its parent has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    connection.wait([closed] if parent is None else [closed, parent.sentinel])
    os._exit(1)
