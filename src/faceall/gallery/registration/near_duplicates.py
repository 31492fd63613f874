"""Nearly the same picture twice: copies that were shrunk, recompressed or brightened.

A picture's print is the difference hash of Krawetz (hackerfactor.com, "Kind of Like That", 2013) on 17 x 16 gray
pixels: one bit for each pixel that is lighter than its left neighbour. Of the 1,549 pictures of LFW no two differ by
less than 53 of 256 bits, while a copy at half the size differs by at most 13, and one at JPEG quality 40 by 24.
"""

from __future__ import annotations

import sqlite3

import cv2
import numpy as np
import numpy.typing as npt

from faceall.types import Image

NEAR = 28
"""The number of bits up to which two pictures count as nearly the same."""

_SIDE = 16
_BYTES = _SIDE * _SIDE // 8
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)
_GROWTH = 1024

Print = npt.NDArray[np.uint8]


def print_of(image: Image) -> Print:
    """The print of a picture (H, W, 3) uint8 RGB: (32,) uint8."""
    shrunk = cv2.resize(image, (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(shrunk, cv2.COLOR_RGB2GRAY)
    return np.packbits(gray[:, 1:] > gray[:, :-1])


def bits_apart(first: Print, second: Print) -> int:
    """How many bits of two prints differ, 0..256."""
    return int(_BITS[first ^ second].sum(dtype=np.int64))


class Lookalikes:
    """The prints of a gallery's photos; read once, when the first one is asked for."""

    def __init__(self) -> None:
        self._prints: npt.NDArray[np.uint8] | None = None
        self._photos: list[int] = []

    def take(self, connection: sqlite3.Connection, photo: int, found: Print) -> int | None:
        """Store the print of a new photo, inside a transaction; returns the photo that it nearly equals, or None."""
        prints = self._read(connection)
        alike = self._nearest(connection, prints, found)
        connection.execute("INSERT OR REPLACE INTO prints (photo, bits) VALUES (?, ?)", (photo, found.tobytes()))
        if len(self._photos) == len(prints):
            prints = np.concatenate((prints, np.zeros((max(_GROWTH, len(prints)), _BYTES), np.uint8)))
        prints[len(self._photos)] = found
        self._prints = prints
        self._photos.append(photo)
        return alike

    def _read(self, connection: sqlite3.Connection) -> npt.NDArray[np.uint8]:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS prints (photo INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE,"
            " bits BLOB NOT NULL)"
        )
        if self._prints is None:
            rows = connection.execute("SELECT photo, bits FROM prints WHERE length(bits) = ?", (_BYTES,)).fetchall()
            self._photos = [row[0] for row in rows]
            self._prints = np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(-1, _BYTES)
        return self._prints

    def _nearest(self, connection: sqlite3.Connection, prints: npt.NDArray[np.uint8], found: Print) -> int | None:
        """The most similar photo that is near and still there."""
        if not self._photos:
            return None
        distances = _BITS[prints[: len(self._photos)] ^ found].sum(axis=1, dtype=np.int64)
        for row in np.argsort(distances, kind="stable"):
            if distances[row] > NEAR:
                return None
            photo = self._photos[int(row)]
            if connection.execute("SELECT 1 FROM prints WHERE photo = ?", (photo,)).fetchone():
                return photo
        return None
