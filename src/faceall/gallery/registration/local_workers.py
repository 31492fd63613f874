"""Workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from faceall.errors import FaceallError
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.registration.processes import core_shares, serve_parent
from faceall.gallery.registration.worker_task import Answer, Make, WorkerSetup, analyse_files
from faceall.gallery.registration.workers import Team, TeamWorkers, WorkerLostError


def local_workers(count: int, *, make: Make | None = None) -> TeamWorkers:
    """Make workers that are processes of this machine.

    Parameters
    ----------
    count : int
        How many.
    make : callable, optional
        Makes the detector and the embedder in a process instead of the defaults; it is pickled.

    Raises
    ------
    FaceallError
        `count` is less than 1.
    """
    if count < 1:
        raise FaceallError(f"{count} worker processes, expected at least 1")

    @contextmanager
    def assemble(setup: WorkerSetup) -> Iterator[Team]:
        team = _Processes(count, setup)
        try:
            yield team
        finally:
            team.close()

    return TeamWorkers(assemble, make)


class _Processes:
    """One pool with one process per worker, so that each can be replaced."""

    def __init__(self, count: int, setup: WorkerSetup) -> None:
        self.size = count
        self._setup = setup
        self._shares = core_shares(count)
        self._pools = [self._pool(worker) for worker in range(count)]

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Future[Answer]:
        try:
            return self._pools[worker].submit(analyse_files, self._setup, candidates)
        except BrokenProcessPool as error:
            raise WorkerLostError from error

    def wait(self, tickets: Collection[Any]) -> Collection[Any]:
        return wait(tickets, return_when=FIRST_COMPLETED).done

    def answer(self, ticket: Any) -> Answer:
        try:
            answer: Answer = ticket.result()
        except BrokenProcessPool as error:
            raise WorkerLostError from error
        return answer

    def replace(self, worker: int) -> None:
        self._pools[worker].shutdown(wait=False, cancel_futures=True)
        self._pools[worker] = self._pool(worker)

    def close(self) -> None:
        """End all processes."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)

    def _pool(self, worker: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # forks of a process with threads hang
        return ProcessPoolExecutor(1, context, serve_parent, (self._shares[worker],))
