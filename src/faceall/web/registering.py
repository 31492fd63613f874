"""`Registrar`: pictures into the gallery, a result for each, whatever happens to the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faceall.errors import FaceallError
from faceall.gallery import Candidate, Gallery
from faceall.web.errors import describe
from faceall.web.fetching import Fetcher
from faceall.web.jobs import Item, Result, failure
from faceall.web.limits import PictureGate
from faceall.web.shapes import Shapes
from faceall.web.uploads import Uploads

_TOGETHER = 16  # pictures that the gallery gets at a time
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
        while waiting and len(batch) < _TOGETHER and waiting[0][0].refile == refile:
            coming = waiting[0][1]
            if coming is not None and not coming.done():
                break
            batch.append(self._arrived(*waiting.popleft()))
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
        candidates = [Candidate(path, item.person) for item, path, _ in batch if path is not None]
        results = iter(self._gallery.register_candidates(candidates, refile=batch[0][0].refile) if candidates else ())
        broken: dict[str, Any] | None = None
        for item, path, error in batch:
            if path is None:
                yield failure(item.name, error or {"code": "internal", "message": "it did not arrive"})
                continue
            try:
                result = None if broken else next(results)
            except FaceallError as trouble:
                result, broken = None, self._describe(trouble)
            photo = self._uploads.release(path, keep=result is not None and result.status not in _USELESS)
            if result is None:
                yield failure(item.name, broken or {})
            else:
                yield self._shapes.registered(item.name, result, photo)

    def _describe(self, error: FaceallError) -> dict[str, Any]:
        return describe(error, str(self._gallery.folder))[1]
