"""From a path to a `ScannedFile`: looked up, hashed and decoded ahead, in threads."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice

from faceall.errors import ImageError, ImageMemoryError, ImageTooLargeError
from faceall.files import open_regular
from faceall.gallery.metadata.sources import NamesFound, read_names
from faceall.gallery.naming import Candidate, KnownContent
from faceall.gallery.records import FileInfo, KnownPhoto, PhotoResult, PhotoState, PhotoStatus, UpcomingFile
from faceall.gallery.registration.options import Reassign
from faceall.gallery.registration.scanned_file import ScannedFile
from faceall.gallery.registration.storing import known_photo, reassigns, take_names_off, unchanged_photo
from faceall.gallery.store import Store
from faceall.images import Reduction, decode_image
from faceall.images.decoding import why_missing
from faceall.images.decoding.jpeg_size import jpeg_size
from faceall.images.metadata import read_metadata

MAX_FILE_SIZE = 1 << 30  # bytes
_AHEAD = 32  # files
_LOOKED_UP = 128  # files that are looked up at once
_AHEAD_BYTES = 256 << 20  # of decoded pixels, estimated
_MISSING = (errno.ENOENT, errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ENODEV, errno.ENXIO)  # as of a lost mount
_EXPANSION = 16  # decoded bytes per byte of file, as for typical JPEGs
_LARGE = 1 << 20  # bytes of a JPEG from which its memory is worked out instead of estimated
_BYTES_PER_PIXEL = 7  # of a decoded JPEG: four in the decoder, three in the array


class Scanner:
    """Scans candidates in order, ahead of the consumer, with bounded memory."""

    def __init__(self, store: Store, *, reassign: Reassign, reduction: Reduction = lambda width, height: 1) -> None:
        self._store = store
        self._reassign = reassign
        self._reduction = reduction
        self._unnamed: frozenset[int] = frozenset()

    def take_names_off(self, candidates: Iterable[Candidate]) -> None:
        """Take the names off the known photos among candidates without a person, as one change in the history."""
        photos: list[int] = []
        for candidate in self._read_ahead(one for one in candidates if one.person is None):
            try:
                status = os.stat(candidate.path)
            except (OSError, ValueError):  # reported when it is scanned
                continue
            known = unchanged_photo(self._store, candidate.path, status.st_size, status.st_mtime_ns)
            photos += [known.id] if known and known.person is not None else []
        self._unnamed = frozenset(take_names_off(self._store, photos))

    def look_up(self, candidates: Iterable[Candidate]) -> Iterator[ScannedFile]:
        """Yield files: with a result if they need not be read, without one otherwise."""
        for candidate in self._read_ahead(candidates):
            task, size = self._plan(candidate)
            yield ScannedFile(candidate) if size else task()

    def _read_ahead(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield the candidates; let the store read what is known of many of them at once."""
        rest = iter(candidates)
        while group := list(islice(rest, _LOOKED_UP)):
            self._store.photos.read_ahead([UpcomingFile(candidate.path) for candidate in group])
            yield from group

    def scan_ahead(self, candidates: Iterable[Candidate], threads: Executor) -> Iterator[ScannedFile]:
        """Scan every candidate, in order."""
        waiting: deque[tuple[int, Future[ScannedFile]]] = deque()
        weight = 0
        for candidate in self._read_ahead(candidates):
            task, size = self._plan(candidate)
            waiting.append((size, threads.submit(task) if size else _done(task())))
            weight += size
            while waiting and (len(waiting) > _AHEAD or weight > _AHEAD_BYTES or not waiting[0][0]):
                size, future = waiting.popleft()
                weight -= size
                yield future.result()
        while waiting:
            yield waiting.popleft()[1].result()

    def is_new(self, candidate: Candidate) -> bool:
        """Whether a file is a photo that is to be searched: its content is not known, and it has no stale faces."""
        file = self.scan(candidate)
        return file.image is not None and file.info is not None and not self._store.photos.pending(file.info.digest)

    def _plan(self, candidate: Candidate) -> tuple[Callable[[], ScannedFile], int]:
        """Return how to scan a file, and how many bytes that may take; 0 if it need not be read."""
        try:
            status = os.stat(candidate.path)
            problem = _problem(status)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            return _settled(candidate, _unreadable(candidate, error))
        if problem:
            return _settled(candidate, PhotoResult(candidate.path, "unreadable", message=problem))
        if status.st_size > MAX_FILE_SIZE:
            message = f"has {status.st_size:,} bytes, the limit is {MAX_FILE_SIZE:,}"
            return _settled(candidate, PhotoResult(candidate.path, "too-large", message=message))
        known = self._unchanged(candidate, status)
        if known and not candidate.xmp:  # a sidecar may have changed
            done: PhotoStatus = "unnamed" if known.id in self._unnamed else "unchanged"
            return _settled(candidate, known.result(candidate.path, done))
        return lambda: self.scan(candidate), self._memory_of(candidate, status.st_size)

    def _memory_of(self, candidate: Candidate, size: int) -> int:
        """Return about how many bytes a file takes while it is decoded, at least 1."""
        shape = jpeg_size(candidate.path) if size >= _LARGE else None
        if shape is None:
            return max(1, size * _EXPANSION)
        return 2 * size + _BYTES_PER_PIXEL * shape[0] * shape[1] // self._reduction(*shape) ** 2

    def _unchanged(self, candidate: Candidate, status: os.stat_result) -> KnownPhoto | None:
        """Return the known photo at a path, if neither the file nor its person has changed."""
        known = unchanged_photo(self._store, candidate.path, status.st_size, status.st_mtime_ns)
        return None if known and reassigns(self._store, known, candidate.person, self._reassign) else known

    def scan(self, candidate: Candidate, *, decode_known: bool = False) -> ScannedFile:
        """Read and hash a file, and decode it unless its content is known."""
        known = (lambda digest: False) if decode_known else self._is_known
        return read_file(candidate, known=known, reduction=self._reduction)

    def _is_known(self, digest: bytes) -> bool:
        return known_photo(self._store, digest) is not None


def read_file(
    candidate: Candidate,
    *,
    known: Callable[[bytes], bool] = lambda digest: False,
    reduction: Reduction = lambda width, height: 1,
) -> ScannedFile:
    """Read a file, hash it, and decode it unless content with its SHA-256 is `known`; uses no database itself."""
    try:
        with open_regular(candidate.path) as file:
            status = os.fstat(file.fileno())  # before the content: a later change is noticed the next time
            content = file.read()
    except OSError as error:
        return ScannedFile(candidate, _unreadable(candidate, error))
    seen = candidate.content or KnownContent(hashlib.sha256(content).digest(), read_metadata(content))
    digest, metadata = seen.digest, seen.metadata
    info = FileInfo(candidate.path, status.st_size, status.st_mtime_ns, digest)
    names = read_names(candidate.path, metadata) if candidate.xmp else NamesFound()
    if known(digest):
        return ScannedFile(candidate, info=info, known=True, names=names)
    try:
        decoded = decode_image(content, reduction=reduction)
        return ScannedFile(
            candidate,
            info=info,
            image=decoded.pixels,
            content=content if decoded.reduced else None,
            size=decoded.size,
            truncated=decoded.truncated,
            metadata=metadata,
            names=names,
        )
    except ImageMemoryError as error:  # it is not stored, so that the file is tried again
        return ScannedFile(candidate, PhotoResult(candidate.path, "too-large", message=error.reason))
    except ImageError as error:
        state: PhotoState = "too-large" if isinstance(error, ImageTooLargeError) else "unreadable"
        return ScannedFile(candidate, info=info, state=state, message=error.reason)


def _settled(candidate: Candidate, result: PhotoResult) -> tuple[Callable[[], ScannedFile], int]:
    return lambda: ScannedFile(candidate, result), 0


def _done(file: ScannedFile) -> Future[ScannedFile]:
    future: Future[ScannedFile] = Future()
    future.set_result(file)
    return future


def _problem(status: os.stat_result) -> str | None:
    """Return why a file cannot be read; a pipe could block or never end."""
    if stat.S_ISREG(status.st_mode):
        return None
    return "is a folder, expected an image" if stat.S_ISDIR(status.st_mode) else "is not a regular file"


def _unreadable(candidate: Candidate, error: Exception) -> PhotoResult:
    """Return the result for a file that cannot be opened."""
    missing = getattr(error, "errno", None) in _MISSING
    if isinstance(error, FileNotFoundError):
        broken = candidate.path.is_symlink()
        return PhotoResult(candidate.path, "unreadable", message=why_missing(candidate.path), missing=not broken)
    reason = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    return PhotoResult(candidate.path, "unreadable", message=reason, missing=missing)
