"""The difference hashes of a gallery's photos in SQLite, which find near duplicates."""

from __future__ import annotations

import sqlite3

import numpy as np
import numpy.typing as npt

from faceall.gallery.embedded.tables import rows
from faceall.gallery.records.near_duplicates import BYTES, NEAR, Print, distances_to

_GROWTH = 1024


class Lookalikes:
    """The hashes of a gallery's photos, read once when the first one is added."""

    def __init__(self) -> None:
        self._prints: npt.NDArray[np.uint8] | None = None
        self._photos: list[int] = []

    def take(self, connection: sqlite3.Connection, photo: int, found: Print) -> int | None:
        """Store the hash of a new photo, inside a transaction; return a near duplicate of it, or None."""
        prints = self._read(connection)
        similar = self._nearest(connection, prints, found)
        rows.put_print(connection, photo, found.tobytes())
        if len(self._photos) == len(prints):
            prints = np.concatenate((prints, np.zeros((max(_GROWTH, len(prints)), BYTES), np.uint8)))
        prints[len(self._photos)] = found
        self._prints = prints
        self._photos.append(photo)
        return similar

    def _read(self, connection: sqlite3.Connection) -> npt.NDArray[np.uint8]:
        if self._prints is None:
            found = connection.execute("SELECT photo, bits FROM prints WHERE length(bits) = ?", (BYTES,)).fetchall()
            self._photos = [row[0] for row in found]
            self._prints = np.frombuffer(b"".join(row[1] for row in found), np.uint8).reshape(-1, BYTES)
        return self._prints

    def _nearest(self, connection: sqlite3.Connection, prints: npt.NDArray[np.uint8], found: Print) -> int | None:
        """Return the most similar photo within the limit that still exists."""
        if not self._photos:
            return None
        distances = distances_to(prints[: len(self._photos)], found)
        for row in np.argsort(distances, kind="stable"):
            if distances[row] > NEAR:
                return None
            photo = self._photos[int(row)]
            if connection.execute("SELECT 1 FROM prints WHERE photo = ?", (photo,)).fetchone():
                return photo
        return None
