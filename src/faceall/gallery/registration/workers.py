"""Who looks at photos in a registration's place: other processes, here or on other machines.

The work is split by photo. The process that owns the gallery asks its database what there is to look at, has that
looked at, and commits the results once each, in order; a worker knows no gallery. So a worker can die at any time: what
it had in hand is done again by another.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from faceall.analysis.analyser import Analyser
from faceall.errors import FaceallError
from faceall.gallery.records import PhotoResult
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.registration.reader import Arrival
from faceall.gallery.registration.worker_task import Answer, Kit, Look, Make, kit_for

Looks: TypeAlias = Generator[Look, None, None]
"""Files in order, without their pixels; the findings are None where there was nothing to look at."""

CHUNK = 8  # photos that a worker gets at once
AHEAD = 2  # chunks per worker that are handed out before their turn
PATIENCE = 3  # workers that a photo may cost before it is given up
_HOPELESS = 32  # workers that may die one after the other without an answer in between
_WINDOW = 8  # chunks per worker that may wait for their turn behind a slow one
_SETTLED = 256  # files without work that a chunk carries along at most


class Workers(Protocol):
    """What looks at photos."""

    def look(self, files: Iterable[Candidate | Arrival], analyser: Analyser) -> Looks:
        """Each of `files`, in order: candidates are read and looked at, arrivals handed through.

        analyser  says which model the faces are to be embedded with
        """


class WorkerLostError(Exception):
    """A worker has died with work in hand."""


class Team(Protocol):
    """Some workers, by number; each does what it is given in order."""

    size: int

    def submit(self, worker: int, candidates: Sequence[Candidate]) -> Hashable:
        """Hand photos to a worker; what stands for its answer."""

    def wait(self, tickets: Collection[Hashable]) -> Collection[Hashable]:
        """Those of some tickets that are answered, at least one."""

    def answer(self, ticket: Hashable) -> Answer:
        """What a worker says. Raises WorkerLostError."""

    def replace(self, worker: int) -> None:
        """Put a new worker in the place of one that has died."""


class TeamWorkers:
    """Workers that are a team for as long as a registration goes on.

    assemble  makes the team
    make      makes the detector and the embedder in a worker, where it is not to use the model that the gallery uses
              with the defaults; it is pickled
    """

    def __init__(self, assemble: Callable[[Kit], AbstractContextManager[Team]], make: Make | None = None) -> None:
        self._assemble = assemble
        self._make = make

    def look(self, files: Iterable[Candidate | Arrival], analyser: Analyser) -> Looks:
        """Each of `files`, in order; the team is assembled at the first one that has to be read."""
        chunks = _chunks(files)
        for chunk in chunks:
            if not chunk.candidates:
                yield from chunk.looks()
                continue
            with self._assemble(kit_for(analyser, self._make)) as team:
                yield from _Shift(team, chunk, chunks).run()


@dataclass(eq=False)
class _Chunk:
    """Files one after the other; `answers` are those of its candidates once they are there."""

    files: list[Candidate | Arrival] = field(default_factory=list)
    answers: list[Look] | None = None
    lost: int = 0

    @property
    def candidates(self) -> list[Candidate]:
        return [file for file in self.files if isinstance(file, Candidate)]

    def looks(self) -> Iterator[Look]:
        """All files, in order."""
        answers = iter(self.answers or ())
        for file in self.files:
            yield next(answers) if isinstance(file, Candidate) else (file, None)


def _chunks(files: Iterable[Candidate | Arrival]) -> Iterator[_Chunk]:
    chunk, candidates = _Chunk(), 0
    for file in files:
        chunk.files.append(file)
        candidates += isinstance(file, Candidate)
        if candidates >= CHUNK or len(chunk.files) >= _SETTLED:
            yield chunk
            chunk, candidates = _Chunk(), 0
    if chunk.files:
        yield chunk


class _Shift:
    """Chunks on their way through a team, handed out in order and taken back in order."""

    def __init__(self, team: Team, first: _Chunk, chunks: Iterator[_Chunk]) -> None:
        self._team, self._chunks = team, chunks
        self._next: _Chunk | None = first
        self._waiting: deque[_Chunk] = deque()
        self._again: deque[_Chunk] = deque()
        self._hands: list[dict[Hashable, _Chunk]] = [{} for _ in range(team.size)]
        self._deaths = 0

    def run(self) -> Iterator[Look]:
        """Everything, in order."""
        while True:
            self._hand_out()
            while self._waiting and self._waiting[0].answers is not None:
                yield from self._waiting.popleft().looks()
            if not self._waiting and self._next is None:
                return
            self._take_back()

    def _hand_out(self) -> None:
        """Give work to every worker that has room for some."""
        for _ in range(AHEAD):
            for worker in sorted(range(len(self._hands)), key=lambda one: len(self._hands[one])):
                if len(self._hands[worker]) < AHEAD and (chunk := self._draw()):
                    self._submit(worker, chunk)

    def _draw(self) -> _Chunk | None:
        """The next chunk with work: one that was lost, or a new one unless too many wait for a slow one."""
        if self._again:
            return self._again.popleft()
        while self._next is not None and len(self._waiting) < _WINDOW * len(self._hands):
            chunk, self._next = self._next, next(self._chunks, None)
            self._waiting.append(chunk)
            if chunk.candidates:
                return chunk
            chunk.answers = []
        return None

    def _submit(self, worker: int, chunk: _Chunk) -> None:
        try:
            self._hands[worker][self._team.submit(worker, chunk.candidates)] = chunk
        except WorkerLostError:
            self._again.append(chunk)
            self._lose(worker)

    def _take_back(self) -> None:
        """Wait for an answer, and take all that are there."""
        tickets = [ticket for hand in self._hands for ticket in hand]
        if not tickets:
            return
        answered = set(self._team.wait(tickets))
        for worker, hand in enumerate(self._hands):
            for ticket in [one for one in hand if one in answered]:
                if ticket not in hand:  # lost with its worker
                    continue
                try:
                    answer = self._team.answer(ticket)
                except WorkerLostError:
                    self._lose(worker)
                    break
                hand.pop(ticket).answers = _checked(answer)
                self._deaths = 0

    def _lose(self, worker: int) -> None:
        """A worker has died: what it had in hand is done again; the first of it may have been why."""
        self._deaths += 1
        if self._deaths > _HOPELESS:
            raise FaceallError("workers die before they have looked at a photo, perhaps for want of memory: use fewer")
        lost = list(self._hands[worker].values())
        self._hands[worker].clear()
        if lost:
            self._suspect(lost[0])
        self._again.extendleft(chunk for chunk in reversed(lost) if chunk.answers is None)
        self._team.replace(worker)

    def _suspect(self, chunk: _Chunk) -> None:
        """Take a chunk that costs workers apart; give up a single photo that costs too many."""
        chunk.lost += 1
        if len(chunk.candidates) == 1 and chunk.lost >= PATIENCE:
            message = f"{chunk.lost} workers died while they looked at it"
            result = PhotoResult(chunk.candidates[0].path, "unreadable", message=message)
            chunk.answers = [(Arrival(chunk.candidates[0], result), None)]
        elif len(chunk.files) > 1 and chunk.lost >= PATIENCE - 1:
            place = self._waiting.index(chunk)
            parts = [_Chunk([file], None if isinstance(file, Candidate) else []) for file in chunk.files]
            del self._waiting[place]
            for part in reversed(parts):
                self._waiting.insert(place, part)
            chunk.answers = []
            self._again.extendleft(part for part in reversed(parts) if part.answers is None)


def _checked(answer: Answer) -> list[Look]:
    """Raises FaceallError where a worker could not look, or not open what can be opened here."""
    if isinstance(answer, FaceallError):
        raise answer
    for arrival, _ in answer:
        if arrival.result is not None and os.access(arrival.candidate.path, os.R_OK):
            raise FaceallError(
                f"{arrival.candidate.path}: {arrival.result.message} by a worker; "
                "photos have to lie under the same path on all machines"
            )
    return answer
