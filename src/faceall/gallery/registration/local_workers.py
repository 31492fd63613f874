"""Workers of a registration that are processes of this machine."""

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
from faceall.gallery.registration.worker_task import Answer, Kit, Make, look_at
from faceall.gallery.registration.workers import Team, TeamWorkers, WorkerLostError


def local_workers(count: int, *, make: Make | None = None) -> TeamWorkers:
    """So many processes of this machine.

    make  makes the detector and the embedder in a process, in place of the defaults; it is pickled

    Raises FaceallError where there would be none.
    """
    if count < 1:
        raise FaceallError(f"{count} worker processes, expected at least 1")

    @contextmanager
    def assemble(kit: Kit) -> Iterator[Team]:
        team = _Processes(count, kit)
        try:
            yield team
        finally:
            team.close()

    return TeamWorkers(assemble, make)


class _Processes:
    """A pool of one process for each worker, so that each is known and can be replaced."""

    def __init__(self, count: int, kit: Kit) -> None:
        self.size = count
        self._kit = kit
        self._shares = core_shares(count)
        self._pools = [self._pool(worker) for worker in range(count)]

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Future[Answer]:
        try:
            return self._pools[worker].submit(look_at, self._kit, candidates)
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
