"""From a path to what a registration has to know: looked up, hashed and decoded ahead, in threads."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from faceall.errors import ImageError, ImageTooLargeError
from faceall.gallery.records import KnownPhoto, PhotoResult, PhotoState, Sighting
from faceall.gallery.registration.filing import known_photo, unchanged_photo
from faceall.gallery.registration.naming import Candidate
from faceall.gallery.store import Store
from faceall.images import read_image
from faceall.types import Image

LARGEST_FILE = 1 << 30  # bytes; a picture is below it
_AHEAD = 32  # files
_AHEAD_BYTES = 256 << 20  # of decoded pixels, by a guess
_EXPANSION = 16  # decoded bytes per byte of file, as usual JPEGs have it


@dataclass(frozen=True, eq=False)
class Arrival:
    """A file that was read.

    result    what there is to say already, where nothing has to be done
    sighting  the file and its hash, where something has
    known     whether that content was in the gallery at that moment, so that it was not decoded
    state     how decoding went, with its message
    image     the pixels, None if known or unreadable
    """

    candidate: Candidate
    result: PhotoResult | None = None
    sighting: Sighting | None = None
    known: bool = False
    state: PhotoState = "ok"
    message: str | None = None
    image: Image | None = None


class Reader:
    """Reads candidates in order, ahead of whoever takes them, within bounds on memory."""

    def __init__(self, store: Store, *, refile: bool) -> None:
        self._store = store
        self._refile = refile

    def settled(self, candidate: Candidate) -> Arrival | None:
        """A file as an arrival where nothing of it has to be read; None for all others."""
        task, size = self._plan(candidate)
        return None if size else task()

    def read_ahead(self, candidates: Iterable[Candidate], threads: Executor) -> Iterator[Arrival]:
        """Every candidate as an arrival, in order."""
        waiting: deque[tuple[int, Future[Arrival]]] = deque()
        weight = 0
        for candidate in candidates:
            task, size = self._plan(candidate)
            waiting.append((size, threads.submit(task) if size else _done(task())))
            weight += size
            while waiting and (len(waiting) > _AHEAD or weight > _AHEAD_BYTES or not waiting[0][0]):
                size, future = waiting.popleft()
                weight -= size
                yield future.result()
        while waiting:
            yield waiting.popleft()[1].result()

    def _plan(self, candidate: Candidate) -> tuple[Callable[[], Arrival], int]:
        """How to read a file, and how many bytes that may take; 0 if there is nothing to read."""
        try:
            status = os.stat(candidate.path)
            trouble = _trouble(status)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            trouble = "no such file" if isinstance(error, FileNotFoundError) else _reason(error)
        if trouble:
            arrival = Arrival(candidate, PhotoResult(candidate.path, "unreadable", message=trouble))
            return lambda: arrival, 0
        if status.st_size > LARGEST_FILE:
            message = f"has {status.st_size:,} bytes, the cap is {LARGEST_FILE:,}"
            arrival = Arrival(candidate, PhotoResult(candidate.path, "too-large", message=message))
            return lambda: arrival, 0
        known = self._unchanged(candidate, status)
        if known:
            arrival = Arrival(candidate, known.result(candidate.path, "unchanged"))
            return lambda: arrival, 0
        return lambda: self.read(candidate), max(1, status.st_size * _EXPANSION)

    def _unchanged(self, candidate: Candidate, status: os.stat_result) -> KnownPhoto | None:
        """The known photo at a path, if neither the file nor its person has changed."""
        known = unchanged_photo(self._store, candidate.path, status.st_size, status.st_mtime_ns)
        if known is None:
            return None
        other_person = self._refile and known.chief > 0 and known.person != candidate.person
        return None if other_person else known

    def read(self, candidate: Candidate, *, decode_known: bool = False) -> Arrival:
        """Read and hash a file, and decode it unless its content is known."""
        return read_file(candidate, known=(lambda digest: False) if decode_known else self._is_known)

    def _is_known(self, digest: bytes) -> bool:
        return known_photo(self._store, digest) is not None


def read_file(candidate: Candidate, *, known: Callable[[bytes], bool] = lambda digest: False) -> Arrival:
    """Read and hash a file, and decode it unless content of that SHA-256 is `known`; asks no database itself."""
    try:
        with open(candidate.path, "rb") as file:
            status = os.fstat(file.fileno())  # before the content: a later change shows the next time
            content = file.read()
    except OSError as error:
        return Arrival(candidate, PhotoResult(candidate.path, "unreadable", message=_reason(error)))
    digest = hashlib.sha256(content).digest()
    sighting = Sighting(candidate, status.st_size, status.st_mtime_ns, digest)
    if known(digest):
        return Arrival(candidate, sighting=sighting, known=True)
    try:
        return Arrival(candidate, sighting=sighting, image=read_image(content))
    except ImageError as error:
        state: PhotoState = "too-large" if isinstance(error, ImageTooLargeError) else "unreadable"
        return Arrival(candidate, sighting=sighting, state=state, message=error.reason)


def _done(arrival: Arrival) -> Future[Arrival]:
    future: Future[Arrival] = Future()
    future.set_result(arrival)
    return future


def _trouble(status: os.stat_result) -> str | None:
    """Why a file is none that can be read; a pipe could block or never end."""
    if stat.S_ISREG(status.st_mode):
        return None
    return "is a folder, expected a picture" if stat.S_ISDIR(status.st_mode) else "is not a regular file"


def _reason(error: Exception) -> str:
    return f"cannot be opened ({getattr(error, 'strerror', None) or error})"
