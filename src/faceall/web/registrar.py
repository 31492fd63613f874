"""`Registrar`: registers the photos of a job in the gallery, with a result per photo."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from faceall.errors import FaceallError
from faceall.gallery import Gallery, PhotoResult
from faceall.web.errors import describe
from faceall.web.fetch.fetcher import Fetcher
from faceall.web.security.decoding import DecodeBudget
from faceall.web.serializers import Serializer
from faceall.web.work.jobs import INTERNAL, Item, Result, failure
from faceall.web.work.uploads import Upload, Uploads

_log = logging.getLogger(__name__)
_BATCH_PHOTOS = 16
_BATCH_PIXELS = 40_000_000  # small files can be large images, and the gallery decodes ahead
_DOWNLOADS = 8  # concurrent downloads of all jobs
_NOT_USABLE = frozenset(("no-face", "unreadable", "too-large", "refused"))

Entry = tuple[Item, Upload | None, dict[str, Any] | None]
"""A photo with its upload, or with the error of its download."""


class Registrar:
    """Registers the photos of jobs in a gallery.

    Parameters
    ----------
    gallery : Gallery
        An open gallery.
    uploads : Uploads
        Keeps the files.
    serializer : Serializer
        Makes the results.
    fetcher : Fetcher
        Downloads images from URLs.
    decoding : DecodeBudget
        Limits the images that are decoded at the same time.
    """

    def __init__(
        self, gallery: Gallery, uploads: Uploads, serializer: Serializer, fetcher: Fetcher, decoding: DecodeBudget
    ) -> None:
        self._gallery, self._uploads, self._serializer = gallery, uploads, serializer
        self._fetcher, self._decoding = fetcher, decoding
        self._downloads = ThreadPoolExecutor(_DOWNLOADS, "faceall-download")

    def register(self, items: Sequence[Item]) -> Iterator[Result]:
        """Register photos in order; yields their results. URLs are downloaded ahead, several at a time."""
        waiting = deque((item, self._download_of(item)) for item in items)
        while waiting:
            yield from self._register(self._next(waiting))

    def close(self) -> None:
        """End the download threads."""
        self._downloads.shutdown()

    def _download_of(self, item: Item) -> Future[Upload] | None:
        return None if item.url is None else self._downloads.submit(self._download, item.url)

    def _download(self, url: str) -> Upload:
        found = self._fetcher.fetch(url)
        return self._uploads.save(found.data, url, self._decoding.check(found.data, found.inspected))

    def _next(self, waiting: deque[tuple[Item, Future[Upload] | None]]) -> list[Entry]:
        """Take the next photo, and those after it that are downloaded and have the same `reassign`."""
        reassign = waiting[0][0].reassign
        batch = [self._loaded(*waiting.popleft())]
        pixels = _pixels_of(batch)
        while waiting and len(batch) < _BATCH_PHOTOS and waiting[0][0].reassign == reassign:
            item, download = waiting[0]
            if download is not None and not download.done():
                break
            entry = self._loaded(item, download)
            pixels += _pixels_of([entry])
            if pixels > _BATCH_PIXELS:
                break
            waiting.popleft()
            batch.append(entry)
        return batch

    def _loaded(self, item: Item, download: Future[Upload] | None) -> Entry:
        """Wait for the download of a photo, if it has one."""
        if download is None:
            return item, item.upload, item.error
        try:
            return item, download.result(), None
        except FaceallError as error:
            return item, None, self._describe(error)

    def _register(self, batch: Sequence[Entry]) -> Iterator[Result]:
        """Register a batch; uploads that are not usable are removed at once."""
        outcomes = self._outcomes(batch)
        for item, upload, error in batch:
            if upload is None:
                yield failure(item.name, error or INTERNAL)
                continue
            outcome = next(outcomes)
            usable = isinstance(outcome, PhotoResult) and outcome.status not in _NOT_USABLE
            photo = self._uploads.release(upload, keep=usable)
            if isinstance(outcome, PhotoResult):
                yield self._serializer.registered(item.name, outcome, photo)
            else:
                yield failure(item.name, outcome)

    def _outcomes(self, batch: Sequence[Entry]) -> Iterator[PhotoResult | dict[str, Any]]:
        """Yield the gallery's result per upload; after a failure its error for each remaining one."""
        candidates = [upload.candidate(item.person) for item, upload, _ in batch if upload is not None]
        done, failed = 0, INTERNAL
        try:
            with self._decoding.hold(_pixels_of(batch)):
                for result in self._gallery.register_candidates(candidates, reassign=batch[0][0].reassign):
                    done += 1
                    yield result
        except FaceallError as error:
            failed = self._describe(error)
        except Exception:  # noqa: BLE001 - it is logged, and each photo gets a result
            _log.exception("a registration failed")
        for _ in candidates[done:]:
            yield failed

    def _describe(self, error: FaceallError) -> dict[str, Any]:
        return describe(error, self._gallery.place)[1]


def _pixels_of(batch: Sequence[Entry]) -> int:
    """Return the total number of pixels of the uploads."""
    return sum(upload.image.pixels for _, upload, _ in batch if upload is not None)
