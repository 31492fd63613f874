"""`Registrar`: pictures into the gallery, a result for each, whatever happens to the others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faceall.errors import FaceallError, ImageError
from faceall.gallery import Candidate, Gallery, PhotoResult
from faceall.images import read_header
from faceall.web.api.serializers import Shapes
from faceall.web.errors import describe
from faceall.web.fetch.fetcher import Fetcher
from faceall.web.security.limits import PictureGate
from faceall.web.work.jobs import INTERNAL, Item, Result, failure
from faceall.web.work.uploads import Uploads

_log = logging.getLogger(__name__)
_TOGETHER = 16  # pictures that the gallery gets at a time
_PIXELS_TOGETHER = 40_000_000  # of them: it decodes ahead what it gets, and small files can be very large pictures
_DOWNLOADS = 8  # at the same time, of all jobs
_USELESS = frozenset(("no-face", "unreadable", "too-large", "refused"))

Batch = list[tuple[Item, Path | None, dict[str, Any] | None]]


class Registrar:
    """Registers the pictures of jobs."""

    def __init__(
        self, gallery: Gallery, uploads: Uploads, shapes: Shapes, fetcher: Fetcher, pictures: PictureGate
    ) -> None:
        self._gallery, self._uploads, self._shapes = gallery, uploads, shapes
        self._fetcher, self._pictures = fetcher, pictures
        self._downloads = ThreadPoolExecutor(_DOWNLOADS, "faceall-download")

    def register(self, items: Sequence[Item]) -> Iterator[Result]:
        """Register pictures in order; those at URLs are downloaded meanwhile, several at a time."""
        waiting = deque((item, self._download_of(item)) for item in items)
        while waiting:
            yield from self._register(self._next(waiting))

    def close(self) -> None:
        """Release the threads."""
        self._downloads.shutdown()

    def _download_of(self, item: Item) -> Future[Path] | None:
        return None if item.url is None else self._downloads.submit(self._download, item.url)

    def _download(self, url: str) -> Path:
        data = self._fetcher.fetch(url).data
        self._pictures.check(data)
        return self._uploads.take(data, url)

    def _next(self, waiting: deque[tuple[Item, Future[Path] | None]]) -> Batch:
        """The next picture, and those after it that are ready and of the same kind."""
        refile = waiting[0][0].refile
        batch = [self._arrived(*waiting.popleft())]
        pixels = _pixels_of(batch[0][1])
        while waiting and len(batch) < _TOGETHER and waiting[0][0].refile == refile:
            item, coming = waiting[0]
            if coming is not None and not coming.done():
                break
            entry = self._arrived(item, coming)
            pixels += _pixels_of(entry[1])
            if pixels > _PIXELS_TOGETHER:
                break
            waiting.popleft()
            batch.append(entry)
        return batch

    def _arrived(self, item: Item, coming: Future[Path] | None) -> tuple[Item, Path | None, dict[str, Any] | None]:
        """A picture with the place where it lies, or what is wrong."""
        if coming is None:
            return item, item.upload, item.error
        try:
            return item, coming.result(), None
        except FaceallError as error:
            return item, None, self._describe(error)

    def _register(self, batch: Batch) -> Iterator[Result]:
        """Register pictures in one go; what is of no use is removed at once."""
        outcomes = self._outcomes(batch)
        for item, path, error in batch:
            if path is None:
                yield failure(item.name, error or INTERNAL)
                continue
            outcome = next(outcomes)
            useful = isinstance(outcome, PhotoResult) and outcome.status not in _USELESS
            photo = self._uploads.release(path, keep=useful)
            if isinstance(outcome, PhotoResult):
                yield self._shapes.registered(item.name, outcome, photo)
            else:
                yield failure(item.name, outcome)

    def _outcomes(self, batch: Batch) -> Iterator[PhotoResult | dict[str, Any]]:
        """What the gallery says of each picture that is there; where it fails, the error for all that are left."""
        candidates = [Candidate(path, item.person) for item, path, _ in batch if path is not None]
        done, trouble = 0, INTERNAL
        try:
            with self._pictures.hold(sum(_pixels_of(candidate.path) for candidate in candidates)):
                for result in self._gallery.register_candidates(candidates, refile=batch[0][0].refile):
                    done += 1
                    yield result
        except FaceallError as error:
            trouble = self._describe(error)
        except Exception:  # noqa: BLE001 - the log has it, and every picture gets an answer
            _log.exception("a registration failed")
        for _ in candidates[done:]:
            yield trouble

    def _describe(self, error: FaceallError) -> dict[str, Any]:
        return describe(error, self._gallery.place)[1]


def _pixels_of(path: Path | None) -> int:
    """How many pixels a picture has by its header; 0 where there is none, which the gallery tells."""
    try:
        header = read_header(path) if path is not None else None
    except ImageError:
        return 0
    return header.width * header.height if header else 0
