"""Changing the model of a gallery in a folder: a table collects the new vectors until every face has one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from faceall.errors import FaceallError
from faceall.gallery.embedded.tables import rows, stale_faces
from faceall.gallery.embedded.tables.columns import faces_in
from faceall.gallery.store import FaceToEmbed, PhotoToEmbed, StaleFace, StalePhoto
from faceall.index import FaceIndex
from faceall.index.storage.rows import BLOCK_BYTES, Block
from faceall.types import Float32Array

_TARGET = "gallery.migration"
_LEFT = "FROM faces WHERE key NOT IN (SELECT face FROM migration)"


class EmbeddedReembedding:
    """`ReembeddingRecords` in SQLite."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    @property
    def model(self) -> str | None:
        """The embedder that made the vectors in use."""
        return self._index.model

    def begin(self, model: str, dimension: int) -> int:
        """Start or continue a change to a model, discarding one to another model; return how many photos are left."""
        with self._index.transaction() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (_TARGET,)).fetchone()
            target = json.dumps([model, dimension])
            if row is None or row[0] != target:
                connection.execute("DELETE FROM migration")
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_TARGET, target))
            connection.execute("DELETE FROM migration WHERE vector IS NULL")  # the photo may be there now
            return int(connection.execute(f"SELECT count(DISTINCT photo) {_LEFT}").fetchone()[0])

    def photos(self, after: int, limit: int) -> list[PhotoToEmbed]:
        """Return photos with faces that have no new vector, where the first such key is greater than `after`."""
        with self._index.reading() as connection:
            found = connection.execute(
                f"SELECT photo, min(key) AS first {_LEFT} GROUP BY photo HAVING first > ? ORDER BY first LIMIT ?",
                (after, limit),
            ).fetchall()
            return [self._photo(connection, photo) for photo, _ in found]

    def _photo(self, connection: sqlite3.Connection, photo: int) -> PhotoToEmbed:
        found = connection.execute(
            "SELECT key, x0, y0, x1, y1, score, landmarks, (SELECT seconds FROM moments WHERE face = key)"
            f" {_LEFT} AND photo = ? ORDER BY key",
            (photo,),
        ).fetchall()
        faces = faces_in([row[1:7] for row in found])
        (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (photo,)).fetchone()
        listed = tuple(FaceToEmbed(row[0], face, row[7]) for row, face in zip(found, faces, strict=True))
        return PhotoToEmbed(photo, digest, rows.paths_of(connection, photo), listed)

    def thumbnail(self, key: int) -> bytes | None:
        """Return the thumbnail of a face as a JPEG."""
        with self._index.reading() as connection:
            row = connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def stage(self, vectors: Iterable[tuple[int, Float32Array | None, str | None]]) -> None:
        """Store new vectors until the switch; faces that were removed in the meantime are left out."""
        with self._index.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO migration (face, vector, reason) SELECT key, ?, ? FROM vectors WHERE key = ?",
                [
                    (None if vector is None else vector.astype("<f4").tobytes(), reason, key)
                    for key, vector, reason in vectors
                ],
            )

    def switch(self, model: str, dimension: int) -> bool:
        """Replace all vectors in one transaction; False if a face has no new one yet.

        Raises
        ------
        FaceallError
            If no face has a new vector.
        """
        with self._index.transaction() as connection:
            if connection.execute(f"SELECT 1 {_LEFT} LIMIT 1").fetchone():
                return False
            lost = connection.execute("SELECT face FROM migration WHERE vector IS NULL").fetchall()
            if lost and len(lost) == len(self._index):
                raise FaceallError(
                    f"{self._index.name}: none of its photos was found, so nothing was changed; put them back in place,"
                    " or embed the stored thumbnails, which is less accurate: --thumbnails"
                )
            stale_faces.make_stale(self._index, [row[0] for row in lost], str(self._index.model))
            self._index.exchange(_staged(connection, dimension), model=model, dimension=dimension)
            connection.execute("DELETE FROM migration")
            connection.execute("DELETE FROM meta WHERE key = ?", (_TARGET,))
        return True

    def stale_photos(self) -> list[int]:
        """Return the photos that have stale faces."""
        with self._index.reading() as connection:
            return stale_faces.photos(connection)

    def stale(self, photo: int) -> StalePhoto:
        """Return a photo with its stale faces."""
        with self._index.reading() as connection:
            found = stale_faces.on_photo(connection, photo)
            (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (photo,)).fetchone()
            paths = rows.paths_of(connection, photo)
        faces = faces_in([one.place for one in found])
        listed = (
            StaleFace(one.id, face, one.model, one.vector, one.seconds) for one, face in zip(found, faces, strict=True)
        )
        return StalePhoto(digest, paths, tuple(listed))

    def restore(self, stale: Sequence[int], vectors: Float32Array) -> int:
        """Turn stale faces into ordinary ones with these vectors; return how many were still there."""
        return stale_faces.restore(self._index, stale, vectors)

    def finish(self) -> None:
        """Write the graph file."""
        self._index.save()


def _staged(connection: sqlite3.Connection, size: int) -> Iterator[Block]:
    """All new vectors, in blocks."""
    found = connection.execute("SELECT face, vector FROM migration ORDER BY face")
    while some := found.fetchmany(max(1, BLOCK_BYTES // (4 * size))):
        vectors = np.frombuffer(b"".join(row[1] for row in some), "<f4").reshape(len(some), size)
        yield Block(np.array([row[0] for row in some], np.int64), vectors.astype(np.float32, copy=False))
