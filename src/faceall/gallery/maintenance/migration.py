"""Switch a gallery to another model: embed every face again from its photo, then replace all vectors at once.

New vectors are stored separately, so an interrupted run can be continued. Searches use the old vectors until every
face has a new one. Then one transaction replaces them.

A face whose photo is absent or has changed cannot be embedded again: it becomes stale, with its name, box, thumbnail
and old vector, and is restored by a later run when the photo is available again, or when the gallery returns to the
old model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np

from faceall.analysis.analyser import THUMBNAIL, THUMBNAIL_MARGIN, Crops, FaceEmbedder, label_of
from faceall.errors import ImageError, IndexFileError
from faceall.gallery.photo_files import find_file, find_image
from faceall.gallery.store import FaceToEmbed, PhotoToEmbed, ReembeddingRecords, StaleFace, StalePhoto
from faceall.images import read_image
from faceall.types import Face, Faces, Float32Array
from faceall.video import read_frame

MigrationStatus = Literal["embedded", "thumbnail", "stale", "back"]
Progress = Callable[[int, int], None]

_PHOTOS = 16  # per batch
_COMMIT_SECONDS = 0.5


@dataclass(frozen=True)
class MigratedPhoto:
    """The result for the faces of a photo.

    Parameters
    ----------
    path : Path
        The file that was read, or the first known path of the photo.
    status : str
        embedded: embedded again from the photo;
        thumbnail: embedded from the stored thumbnails because the photo is missing, which is less accurate;
        stale: the photo is gone or has changed (see `message`), its faces are kept but not found any more;
        back: stale faces were restored.
    faces : int
        The number of faces.
    message : str or None
        Why the photo could not be read.
    """

    path: Path
    status: MigrationStatus
    faces: int
    message: str | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """A photo and its faces: their keys, and their crops if they can be embedded."""

    photo: MigratedPhoto
    keys: tuple[int, ...]
    crops: Crops | None


class Migration(Iterator[MigratedPhoto]):
    """A migration, which runs while it is iterated over; photos of an earlier run are not repeated.

    Parameters
    ----------
    records : ReembeddingRecords
        The gallery.
    embedder : FaceEmbedder
        The new model.
    thumbnails : bool
        Embed faces from their thumbnails if the photo is missing.
    progress : callable, optional
        Called with the number of finished photos and of all photos.
    stop : Event, optional
        Set it to end early.

    Attributes
    ----------
    total : int
        The number of photos to embed.
    switched : bool
        Whether the gallery has the vectors of the new model.
    """

    def __init__(
        self,
        records: ReembeddingRecords,
        embedder: FaceEmbedder,
        *,
        thumbnails: bool = False,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> None:
        self._records, self._embedder = records, embedder
        self._thumbnails, self._progress = thumbnails, progress
        self._stop = stop or Event()
        self._label = label_of(embedder.model)
        self._done = 0
        self.switched = records.model == self._label
        self.total = 0
        self._results = self._run()

    def __next__(self) -> MigratedPhoto:
        return next(self._results)

    def _run(self) -> Iterator[MigratedPhoto]:
        if not self.switched:
            self.total = self._records.begin(self._label, self._embedder.size)
            while not self._stop.is_set() and not self.switched:
                yield from self._embed_rest()
                if not self._stop.is_set():
                    self.switched = self._records.switch(
                        self._label, self._embedder.size
                    )  # False if photos were registered in the meantime
        if self.switched and not self._stop.is_set():
            yield from self._restore_stale()
            self._records.finish()

    # -- new vectors ------------------------------------------------------------------------------------------------

    def _embed_rest(self) -> Iterator[MigratedPhoto]:
        """Embed faces that have no new vector yet; yield a photo when its vectors are stored."""
        waiting: list[tuple[_Found, Float32Array | None]] = []
        committed = time.monotonic()
        while not self._stop.is_set():
            after = waiting[-1][0].keys[0] if waiting else -1
            found = [self._crop(photo) for photo in self._records.photos(after, _PHOTOS)]
            if not found:
                break
            waiting += zip(found, self._embedded([one.crops for one in found]), strict=True)
            if time.monotonic() - committed >= _COMMIT_SECONDS:
                yield from self._stage(waiting)
                waiting, committed = [], time.monotonic()
        yield from self._stage(waiting)

    def _crop(self, photo: PhotoToEmbed) -> _Found:
        """Crop the faces of a photo, from the image or from their thumbnails."""
        keys = tuple(face.key for face in photo.faces)
        if any(face.seconds is not None for face in photo.faces):
            return self._crop_from_video(photo)
        path, image, reason = find_image(photo.digest, photo.paths)
        if image is not None:
            crops = self._embedder.crop(image, faces_of([one.face for one in photo.faces]))
            return _Found(MigratedPhoto(path, "embedded", len(keys)), keys, crops)
        return self._without_photo(photo, path, reason)

    def _crop_from_video(self, photo: PhotoToEmbed) -> _Found:
        """Crop the faces of a video from their frames."""
        path, crops, reason = self._crops_in_video(photo.digest, photo.paths, photo.faces)
        if crops is None:
            return self._without_photo(photo, path, reason)
        keys = tuple(face.key for face in photo.faces)
        return _Found(MigratedPhoto(path, "embedded", len(keys)), keys, crops)

    def _crops_in_video(
        self, digest: bytes, paths: Sequence[Path], faces: Sequence[FaceToEmbed | StaleFace]
    ) -> tuple[Path, Crops | None, str | None]:
        """Return the file of a video and the crops of its faces, or None and the reason."""
        path, reason = find_file(digest, paths)
        if reason is not None:
            return path, None, reason
        try:
            frames = (read_frame(path, face.seconds or 0.0) for face in faces)
            crops = [
                self._embedder.crop(frame, faces_of([face.face])) for frame, face in zip(frames, faces, strict=True)
            ]
        except ImageError as error:
            return path, None, error.reason
        return path, np.concatenate(crops), None

    def _without_photo(self, photo: PhotoToEmbed, path: Path, reason: str | None) -> _Found:
        """Crop the faces of a photo that cannot be read from their thumbnails, if that is wanted."""
        keys = tuple(face.key for face in photo.faces)
        if self._thumbnails:
            crops = np.concatenate([self._crop_thumbnail(one.key, faces_of([one.face])) for one in photo.faces])
            return _Found(MigratedPhoto(path, "thumbnail", len(keys), reason), keys, crops)
        return _Found(MigratedPhoto(path, "stale", len(keys), reason), keys, None)

    def _crop_thumbnail(self, key: int, face: Faces) -> Crops:
        jpeg = self._records.thumbnail(key)
        if jpeg is None:
            raise IndexFileError(f"face {key} has neither a photo nor a thumbnail: faceall index repair")
        return self._embedder.crop(read_image(jpeg), in_thumbnail(face))

    def _embedded(self, crops: Sequence[Crops | None]) -> list[Float32Array | None]:
        """Return the vectors of each photo's crops, embedded in one batch."""
        given = [some for some in crops if some is not None]
        if not given:
            return [None] * len(crops)
        vectors = self._embedder.embed_crops(np.concatenate(given)).astype("<f4", copy=False)
        places = iter(np.split(vectors, np.cumsum([len(some) for some in given])[:-1]))
        return [None if some is None else next(places) for some in crops]

    def _stage(self, waiting: Sequence[tuple[_Found, Float32Array | None]]) -> Iterator[MigratedPhoto]:
        """Store new vectors until the switch; faces that were removed in the meantime are left out."""
        if not waiting:
            return
        self._records.stage(
            (key, None if vectors is None else vectors[row], found.photo.message)
            for found, vectors in waiting
            for row, key in enumerate(found.keys)
        )
        for found, _ in waiting:
            self._done += 1
            if self._progress:
                self._progress(self._done, max(self.total, self._done))
            yield found.photo

    # -- stale faces ------------------------------------------------------------------------------------------------

    def _restore_stale(self) -> Iterator[MigratedPhoto]:
        """Restore stale faces of earlier switches if that is possible now."""
        for photo in self._records.stale_photos():
            if self._stop.is_set():
                return
            found = self._records.stale(photo)
            path, crops = self._crops_of_stale(found)
            vectors = self._old_vectors(found.faces) if crops is None else self._embedder.embed_crops(crops)
            if vectors is not None:
                count = self._records.restore([one.id for one in found.faces], vectors)
                if count:
                    yield MigratedPhoto(path, "back", count)

    def _old_vectors(self, stale: Sequence[StaleFace]) -> Float32Array | None:
        """Return the old vectors of stale faces if the current model made them, else None."""
        if not stale or any(one.model != self._label for one in stale):
            return None
        return np.stack([one.vector for one in stale])

    def _crops_of_stale(self, found: StalePhoto) -> tuple[Path, Crops | None]:
        """Return the file of a photo or video with stale faces, and their crops; None if it cannot be read."""
        if any(one.seconds is not None for one in found.faces):
            return self._crops_in_video(found.digest, found.paths, found.faces)[:2]
        path, image, _ = find_image(found.digest, found.paths)
        faces = faces_of([one.face for one in found.faces])
        return path, None if image is None else self._embedder.crop(image, faces)


def faces_of(faces: Sequence[Face]) -> Faces:
    """Return single faces as one `Faces`."""
    if not faces:
        return Faces.empty()
    scores = np.array([face.score for face in faces], np.float32)
    return Faces(np.stack([face.box for face in faces]), scores, np.stack([face.landmarks for face in faces]))


def in_thumbnail(face: Faces) -> Faces:
    """Return one face's box and landmarks in the pixels of its thumbnail, as `make_thumbnail` crops it."""
    x0, y0, x1, y1 = face.boxes[0].astype(np.float64)
    half = max(x1 - x0, y1 - y0, 2.0) * (0.5 + THUMBNAIL_MARGIN)
    corner = np.array([(x0 + x1) / 2 - half, (y0 + y1) / 2 - half])
    scale = THUMBNAIL / (2 * half)
    boxes = (face.boxes - np.tile(corner, 2)) * scale
    return Faces(boxes.astype(np.float32), face.scores, ((face.landmarks - corner) * scale).astype(np.float32))
