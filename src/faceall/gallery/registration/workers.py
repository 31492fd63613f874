"""Analyse photos in other processes, here or on other machines.

The work is split by photo. The process that owns the gallery decides which files must be analysed, sends them to
workers, and commits the results once each, in order; a worker uses no gallery. So a worker can die at any time: another
one repeats its unfinished work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from faceall.analysis import Analyser
from faceall.errors import FaceallError, WorkerLostError
from faceall.gallery.naming import Candidate
from faceall.gallery.records import PhotoResult
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.gallery.registration.worker_task import Answer, Make, WorkerSetup, setup_for

Analysed: TypeAlias = Generator[ScannedFile, None, None]
"""Files in order, without their images."""

CHUNK = 8  # photos per task
AHEAD = 2  # tasks per worker that are submitted in advance
MAX_LOSSES = 3  # workers that may die on one photo before it is given up
_HOPELESS = 32  # workers that may die in a row without a result in between
_WINDOW = 8  # chunks per worker that may wait behind a slow one
_MAX_FILES = 256  # files in a chunk, settled ones included


class Team(Protocol):
    """Some workers, by number; each does its tasks in order."""

    size: int
    elsewhere: bool
    """Whether workers may run on other machines, which see other files."""

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Hashable:
        """Send photos to a worker; returns a ticket for its answer."""

    def wait(self, tickets: Collection[Hashable]) -> Collection[Hashable]:
        """Wait for at least one of some tickets; returns those that are answered."""

    def answer(self, ticket: Hashable) -> Answer:
        """Return the answer of a worker. Raises WorkerLostError."""

    def restart(self, worker: int) -> None:
        """Replace a worker that has died."""


class TeamWorkers:
    """Workers that form a team for the duration of a registration.

    Parameters
    ----------
    assemble : callable
        Makes the team.
    make : callable, optional
        Makes the detector and the embedder in a worker; by default it uses the gallery's model and the default
        detector. It is pickled.
    """

    def __init__(
        self, assemble: Callable[[WorkerSetup], AbstractContextManager[Team]], make: Make | None = None
    ) -> None:
        self._assemble = assemble
        self._make = make

    def analyse(self, files: Iterable[ScannedFile], analyser: Analyser) -> Analysed:
        """Yield each file in order; the team is assembled at the first one that has to be read."""
        chunks = _chunks(files)
        for chunk in chunks:
            if not chunk.candidates:
                yield from chunk.finished()
                continue
            with self._assemble(setup_for(analyser, self._make)) as team:
                yield from _Schedule(team, chunk, chunks).run()


@dataclass(eq=False)
class _Chunk:
    """Consecutive files; `answers` are the analysed ones among them, once they are available."""

    files: list[ScannedFile] = field(default_factory=list)
    answers: list[ScannedFile] | None = None
    lost: int = 0

    @property
    def candidates(self) -> list[Candidate]:
        return [file.candidate for file in self.files if file.result is None]

    def finished(self) -> Iterator[ScannedFile]:
        """Yield all files, in order."""
        answers = iter(self.answers or ())
        for file in self.files:
            yield next(answers) if file.result is None else file


def _chunks(files: Iterable[ScannedFile]) -> Iterator[_Chunk]:
    chunk, unread = _Chunk(), 0
    for file in files:
        chunk.files.append(file)
        unread += file.result is None
        if unread >= CHUNK or len(chunk.files) >= _MAX_FILES:
            yield chunk
            chunk, unread = _Chunk(), 0
    if chunk.files:
        yield chunk


class _Schedule:
    """Sends chunks to a team in order and collects the answers in order."""

    def __init__(self, team: Team, first: _Chunk, chunks: Iterator[_Chunk]) -> None:
        self._team, self._chunks = team, chunks
        self._next: _Chunk | None = first
        self._waiting: deque[_Chunk] = deque()
        self._again: deque[_Chunk] = deque()
        self._tasks: list[dict[Hashable, _Chunk]] = [{} for _ in range(team.size)]
        self._deaths = 0

    def run(self) -> Iterator[ScannedFile]:
        """Yield every file, in order."""
        while True:
            self._submit_all()
            while self._waiting and self._waiting[0].answers is not None:
                yield from self._waiting.popleft().finished()
            if not self._waiting and self._next is None:
                return
            self._collect()

    def _submit_all(self) -> None:
        """Send work to every worker that can take more."""
        for _ in range(AHEAD):
            for worker in sorted(range(len(self._tasks)), key=lambda one: len(self._tasks[one])):
                if len(self._tasks[worker]) < AHEAD and (chunk := self._draw()):
                    self._submit(worker, chunk)

    def _draw(self) -> _Chunk | None:
        """Return the next chunk with work: a lost one, or a new one unless too many wait for a slow one."""
        if self._again:
            return self._again.popleft()
        while self._next is not None and len(self._waiting) < _WINDOW * len(self._tasks):
            chunk, self._next = self._next, next(self._chunks, None)
            self._waiting.append(chunk)
            if chunk.candidates:
                return chunk
            chunk.answers = []
        return None

    def _submit(self, worker: int, chunk: _Chunk) -> None:
        try:
            self._tasks[worker][self._team.submit(worker, chunk.candidates)] = chunk
        except WorkerLostError:
            self._again.append(chunk)
            self._lose(worker)

    def _collect(self) -> None:
        """Wait for an answer and collect all that are available."""
        tickets = [ticket for tasks in self._tasks for ticket in tasks]
        if not tickets:
            return
        answered = set(self._team.wait(tickets))
        for worker, tasks in enumerate(self._tasks):
            for ticket in [one for one in tasks if one in answered]:
                if ticket not in tasks:  # lost with its worker
                    continue
                try:
                    answer = self._team.answer(ticket)
                except WorkerLostError:
                    self._lose(worker)
                    break
                tasks.pop(ticket).answers = self._checked(answer)
                self._deaths = 0

    def _lose(self, worker: int) -> None:
        """Replace a worker that has died and repeat its unfinished chunks; the first of them may be the cause."""
        self._deaths += 1
        if self._deaths > _HOPELESS:
            raise FaceallError(
                "workers die before they analyse a photo, perhaps for lack of memory: use fewer, or only "
                "this process (--workers 1)"
            )
        lost = list(self._tasks[worker].values())
        self._tasks[worker].clear()
        if lost:
            self._suspect(lost[0])
        self._again.extendleft(chunk for chunk in reversed(lost) if chunk.answers is None)
        self._team.restart(worker)

    def _suspect(self, chunk: _Chunk) -> None:
        """Split a chunk on which workers die; give up a single photo on which too many die."""
        chunk.lost += 1
        if len(chunk.candidates) == 1 and chunk.lost >= MAX_LOSSES:
            message = f"{chunk.lost} workers died while they analysed it"
            result = PhotoResult(chunk.candidates[0].path, "unreadable", message=message)
            chunk.answers = [ScannedFile(chunk.candidates[0], result)]
        elif len(chunk.files) > 1 and chunk.lost >= MAX_LOSSES - 1:
            place = self._waiting.index(chunk)
            parts = [_Chunk([file], None if file.result is None else []) for file in chunk.files]
            del self._waiting[place]
            for part in reversed(parts):
                self._waiting.insert(place, part)
            chunk.answers = []
            self._again.extendleft(part for part in reversed(parts) if part.answers is None)

    def _checked(self, answer: Answer) -> list[ScannedFile]:
        """Raise FaceallError if a worker failed, or one elsewhere could not open a file that can be opened here."""
        if isinstance(answer, FaceallError):
            raise answer
        for file in answer if self._team.elsewhere else ():
            if file.result is None or file.result.status != "unreadable":
                continue
            if os.access(file.candidate.path, os.R_OK):
                raise FaceallError(
                    f"{file.candidate.path}: {file.result.message} by a worker; "
                    "photos have to lie under the same path on all machines"
                )
        return answer
