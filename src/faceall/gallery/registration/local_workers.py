"""Workers that are processes of this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from faceall.errors import FaceallError
from faceall.gallery.naming import Candidate
from faceall.gallery.registration.worker_task import Answer, Make, WorkerSetup, analyse_files
from faceall.gallery.registration.workers import Team, TeamWorkers
from faceall.processes import ProcessTeam


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
        with ProcessTeam(count) as processes:
            yield _LocalTeam(processes, setup)

    return TeamWorkers(assemble, make)


class _LocalTeam:
    """Processes that analyse photos."""

    elsewhere = False

    def __init__(self, processes: ProcessTeam, setup: WorkerSetup) -> None:
        self.size = processes.size
        self._processes, self._setup = processes, setup

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Any:
        return self._processes.submit(worker, analyse_files, self._setup, candidates)

    def wait(self, tickets: Collection[Any]) -> Collection[Any]:
        return self._processes.wait(tickets)

    def answer(self, ticket: Any) -> Answer:
        answer: Answer = self._processes.result(ticket)
        return answer

    def restart(self, worker: int) -> None:
        self._processes.restart(worker)
