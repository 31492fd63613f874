"""A gallery changes its model: every face is embedded anew from its photo, and all vectors are exchanged at once.

New vectors wait in a table of their own, so a run that is killed goes on where it was. Until the last one is there,
everybody searches the old ones. Then one transaction puts the new ones in their place.

A face whose photo is gone, or has changed, cannot be embedded anew: it is put aside with its name, box, thumbnail and
old vector, and comes back by a later run when the photo is there again, or when the gallery returns to the old model.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np

from faceall.analysis.analyser import THUMBNAIL, THUMBNAIL_MARGIN, Crops, FaceEmbedder, label_of
from faceall.errors import FaceallError, ImageError, IndexFileError
from faceall.gallery.embedded import stale_faces
from faceall.gallery.embedded.columns import faces_in, unmarked
from faceall.images import read_image
from faceall.index import FaceIndex
from faceall.index.rows import BLOCK_BYTES, Block
from faceall.types import Faces, Float32Array, Image

MigrationStatus = Literal["embedded", "thumbnail", "aside", "back"]
Progress = Callable[[int, int], None]

_TARGET = "gallery.migration"
_PHOTOS = 16  # per batch
_COMMIT_SECONDS = 0.5
_LEFT = "FROM faces WHERE key NOT IN (SELECT face FROM migration)"


@dataclass(frozen=True)
class MigratedPhoto:
    """What became of a photo's faces.

    path     the file that was looked at, or the last one that held the photo
    status   embedded: anew from the photo
             thumbnail: from the stored thumbnails, as was allowed; less sure
             aside: the photo is gone or has changed, see `message`; its faces are kept, and not found any more
             back: faces that were aside are found again
    """

    path: Path
    status: MigrationStatus
    faces: int
    message: str | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """A photo and the faces on it: keys, and the crops for the model where something can be embedded."""

    photo: MigratedPhoto
    keys: tuple[int, ...]
    crops: Crops | None


class Migration(Iterator[MigratedPhoto]):
    """A running migration: iterate over it to make it happen; photos that an earlier run has done are not repeated.

    total     photos to do
    switched  whether the gallery holds the new model's vectors now
    """

    def __init__(
        self,
        index: FaceIndex,
        embedder: FaceEmbedder,
        *,
        thumbnails: bool = False,
        progress: Progress | None = None,
        stop: Event | None = None,
    ) -> None:
        self._index, self._embedder = index, embedder
        self._thumbnails, self._progress = thumbnails, progress
        self._stop = stop or Event()
        self._label = label_of(embedder.model)
        self._done = 0
        self.switched = index.model == self._label
        self.total = 0
        self._results = self._run()

    def __next__(self) -> MigratedPhoto:
        return next(self._results)

    def _run(self) -> Iterator[MigratedPhoto]:
        if not self.switched:
            self._prepare()
            while not self._stop.is_set() and not self.switched:
                yield from self._embed_rest()
                if not self._stop.is_set():
                    self.switched = self._switch()  # False if somebody has registered photos meanwhile
        if self.switched and not self._stop.is_set():
            yield from self._bring_back()
            self._index.save()

    def _prepare(self) -> None:
        """Go on with an earlier run to the same model; one to another model is dropped."""
        with self._index.transaction() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (_TARGET,)).fetchone()
            target = json.dumps([self._label, self._embedder.size])
            if row is None or row[0] != target:
                connection.execute("DELETE FROM migration")
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_TARGET, target))
            connection.execute("DELETE FROM migration WHERE vector IS NULL")  # the photo may be there now
            self.total = connection.execute(f"SELECT count(DISTINCT photo) {_LEFT}").fetchone()[0]

    # -- new vectors ------------------------------------------------------------------------------------------------

    def _embed_rest(self) -> Iterator[MigratedPhoto]:
        """Embed what has no new vector yet; a photo is told when its vectors are safe."""
        waiting: list[tuple[_Found, Float32Array | None]] = []
        committed = time.monotonic()
        while not self._stop.is_set():
            with self._index.reading() as connection:
                after = waiting[-1][0].keys[0] if waiting else -1
                photos = self._next_photos(connection, after)
                found = [self._look(connection, photo) for photo in photos]
            if not found:
                break
            waiting += zip(found, self._embedded([one.crops for one in found]), strict=True)
            if time.monotonic() - committed >= _COMMIT_SECONDS:
                yield from self._stage(waiting)
                waiting, committed = [], time.monotonic()
        yield from self._stage(waiting)

    def _next_photos(self, connection: sqlite3.Connection, after: int) -> list[int]:
        """Photos that have a face without a new vector, by their first one, which comes after the key `after`."""
        rows = connection.execute(
            f"SELECT photo, min(key) AS first {_LEFT} GROUP BY photo HAVING first > ? ORDER BY first LIMIT ?",
            (after, _PHOTOS),
        )
        return [row[0] for row in rows]

    def _look(self, connection: sqlite3.Connection, photo: int) -> _Found:
        """Cut the faces of a photo out, of the picture or of their thumbnails."""
        rows = connection.execute(
            f"SELECT key, x0, y0, x1, y1, score, landmarks {_LEFT} AND photo = ? ORDER BY key", (photo,)
        ).fetchall()
        keys = tuple(row[0] for row in rows)
        faces = faces_in([row[1:] for row in rows])
        path, image, reason = find_picture(connection, photo)
        if image is not None:
            crops = self._embedder.crop(image, faces)
            return _Found(MigratedPhoto(path, "embedded", len(keys)), keys, crops)
        if self._thumbnails:
            crops = np.concatenate(
                [self._crop_of_thumbnail(connection, key, faces.take([row])) for row, key in enumerate(keys)]
            )
            return _Found(MigratedPhoto(path, "thumbnail", len(keys), reason), keys, crops)
        return _Found(MigratedPhoto(path, "aside", len(keys), reason), keys, None)

    def _crop_of_thumbnail(self, connection: sqlite3.Connection, key: int, face: Faces) -> Crops:
        row = connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (key,)).fetchone()
        if row is None:
            raise IndexFileError(f"face {key} has neither a photo nor a thumbnail: faceall index repair")
        return self._embedder.crop(read_image(row[0]), in_thumbnail(face))

    def _embedded(self, crops: Sequence[Crops | None]) -> list[Float32Array | None]:
        """Vectors for each photo's crops, all in one go."""
        given = [some for some in crops if some is not None]
        if not given:
            return [None] * len(crops)
        vectors = self._embedder.embed_crops(np.concatenate(given)).astype("<f4", copy=False)
        places = iter(np.split(vectors, np.cumsum([len(some) for some in given])[:-1]))
        return [None if some is None else next(places) for some in crops]

    def _stage(self, waiting: Sequence[tuple[_Found, Float32Array | None]]) -> Iterator[MigratedPhoto]:
        """Put new vectors by; faces that were removed meanwhile are left out."""
        if not waiting:
            return
        with self._index.transaction() as connection:
            for found, vectors in waiting:
                blobs = (
                    [None] * len(found.keys) if vectors is None else [one.astype("<f4").tobytes() for one in vectors]
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO migration (face, vector, reason)"
                    " SELECT key, ?, ? FROM vectors WHERE key = ?",
                    [(blob, found.photo.message, key) for blob, key in zip(blobs, found.keys, strict=True)],
                )
        for found, _ in waiting:
            self._done += 1
            if self._progress:
                self._progress(self._done, max(self.total, self._done))
            yield found.photo

    # -- the switch -------------------------------------------------------------------------------------------------

    def _switch(self) -> bool:
        """Exchange all vectors in one transaction; False where a face has none yet."""
        with self._index.transaction() as connection:
            if connection.execute(f"SELECT 1 {_LEFT} LIMIT 1").fetchone():
                return False
            lost = connection.execute("SELECT face, reason FROM migration WHERE vector IS NULL").fetchall()
            if lost and len(lost) == len(self._index):
                raise FaceallError(
                    f"{self._index.name}: none of its photos is where it was, so nothing was changed; bring them back,"
                    " or embed the stored thumbnails, which is less sure: --thumbnails"
                )
            stale_faces.make_stale(self._index, [row[0] for row in lost], str(self._index.model))
            size = self._embedder.size
            self._index.exchange(_staged(connection, size), model=self._label, dimension=size)
            connection.execute("DELETE FROM migration")
            connection.execute("DELETE FROM meta WHERE key = ?", (_TARGET,))
        return True

    def _bring_back(self) -> Iterator[MigratedPhoto]:
        """Take up faces that an earlier switch has put aside, where that is possible now."""
        with self._index.reading() as connection:
            photos = stale_faces.photos(connection)
        for photo in photos:
            if self._stop.is_set():
                return
            with self._index.reading() as connection:
                path, image, _ = find_picture(connection, photo)
                waiting = stale_faces.on_photo(connection, photo)
            vectors = self._of_old_model(waiting) if image is None else self._anew(image, waiting)
            if vectors is not None:
                with self._index.transaction():
                    count = stale_faces.restore(self._index, [one.id for one in waiting], vectors)
                if count:
                    yield MigratedPhoto(path, "back", count)

    def _of_old_model(self, waiting: Sequence[stale_faces.StaleRow]) -> Float32Array | None:
        """The vectors that faces had before, where this is the model that made them."""
        if not waiting or any(one.model != self._label for one in waiting):
            return None
        return np.stack([one.vector for one in waiting])

    def _anew(self, image: Image, waiting: Sequence[stale_faces.StaleRow]) -> Float32Array:
        faces = faces_in([one.place for one in waiting])
        return self._embedder.embed_crops(self._embedder.crop(image, faces))


def find_picture(connection: sqlite3.Connection, photo: int) -> tuple[Path, Image | None, str | None]:
    """The file that holds a photo, its pixels, and why there are none."""
    (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (photo,)).fetchone()
    rows = connection.execute("SELECT path FROM files WHERE photo = ? ORDER BY id", (photo,)).fetchall()
    paths = [Path(os.fsdecode(unmarked(row[0]))) for row in rows]
    reason: str | None = "no file is known"
    for path in paths:
        image, reason = _read(path, digest)
        if image is not None:
            return path, image, None
    return (paths[0] if paths else Path()), None, reason


def _read(path: Path, digest: bytes) -> tuple[Image | None, str | None]:
    """The picture with this SHA-256 in a file, or why there is none."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).digest() != digest:
            return None, "the file holds another picture now"
        return read_image(content), None
    except (FileNotFoundError, NotADirectoryError):
        return None, "the file is gone"
    except OSError as error:
        return None, f"the file cannot be read ({error.strerror})"
    except ImageError as error:
        return None, str(error)


def in_thumbnail(face: Faces) -> Faces:
    """One face's box and landmarks in the pixels of its thumbnail, as `make_thumbnail` cuts it."""
    x0, y0, x1, y1 = face.boxes[0].astype(np.float64)
    half = max(x1 - x0, y1 - y0, 2.0) * (0.5 + THUMBNAIL_MARGIN)
    corner = np.array([(x0 + x1) / 2 - half, (y0 + y1) / 2 - half])
    scale = THUMBNAIL / (2 * half)
    boxes = (face.boxes - np.tile(corner, 2)) * scale
    return Faces(boxes.astype(np.float32), face.scores, ((face.landmarks - corner) * scale).astype(np.float32))


def _staged(connection: sqlite3.Connection, size: int) -> Iterator[Block]:
    """All new vectors, in blocks."""
    rows = connection.execute("SELECT face, vector FROM migration ORDER BY face")
    while found := rows.fetchmany(max(1, BLOCK_BYTES // (4 * size))):
        vectors = np.frombuffer(b"".join(row[1] for row in found), "<f4").reshape(len(found), size)
        yield Block(np.array([row[0] for row in found], np.int64), vectors.astype(np.float32, copy=False))
