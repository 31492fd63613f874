"""Faces without a vector of the current model, because their photo was absent when the model was changed.

They keep all of their data, including the old vector, and are not searched. They are restored, with their keys and
people, when their photo is migrated or registered again. Removing their photo or person removes them as well.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceall.gallery.embedded.tables import ids, rows
from faceall.images import reader_version
from faceall.index import FaceIndex
from faceall.types import Float32Array

_WHY = "its photo was absent when the gallery changed its model, so its faces are stale: faceall index migrate"
_DAMAGED = "the vectors of its faces were damaged, so its faces are stale: register it again"
_COLUMNS = "photo, person, is_primary, x0, y0, x1, y1, score, landmarks"


@dataclass(frozen=True, eq=False)
class StaleRow:
    """A stale face: its row, its old model and vector, x0 y0 x1 y1 score landmarks, and when a video shows it."""

    id: int
    model: str
    vector: Float32Array
    place: tuple[object, ...]
    seconds: float | None = None


def count(connection: sqlite3.Connection) -> int:
    """Return how many faces are stale."""
    return int(connection.execute("SELECT count(*) FROM stale_faces").fetchone()[0])


def has_photo(connection: sqlite3.Connection, photo: int) -> bool:
    """Return whether a photo has stale faces."""
    return connection.execute("SELECT 1 FROM stale_faces WHERE photo = ?", (photo,)).fetchone() is not None


def photos(connection: sqlite3.Connection) -> list[int]:
    """Return the photos that have stale faces."""
    return [row[0] for row in connection.execute("SELECT DISTINCT photo FROM stale_faces ORDER BY photo")]


def on_photo(connection: sqlite3.Connection, photo: int) -> list[StaleRow]:
    """Return the stale faces of a photo."""
    found = connection.execute(
        "SELECT id, model, vector, (SELECT seconds FROM moments m WHERE m.face = stale_faces.face),"
        " x0, y0, x1, y1, score, landmarks FROM stale_faces WHERE photo = ? ORDER BY id",
        (photo,),
    )
    return [
        StaleRow(row[0], row[1], np.frombuffer(row[2], "<f4").astype(np.float32), tuple(row[4:]), row[3])
        for row in found
    ]


def on_photo_with(connection: sqlite3.Connection, digest: bytes) -> list[StaleRow]:
    """Return the stale faces of the photo with a SHA-256."""
    photo = rows.photo_with(connection, digest)
    return [] if photo is None else on_photo(connection, photo)


def make_stale(index: FaceIndex, keys: Sequence[int], model: str, *, keep_vectors: bool = True) -> None:
    """Make faces stale, inside a transaction; their photos are analysed again when they are found.

    Parameters
    ----------
    index : FaceIndex
        The index of the gallery.
    keys : sequence of int
        The faces.
    model : str
        The model that made their vectors.
    keep_vectors : bool
        Keep the vectors; False where they are damaged.
    """
    if not keys:
        return
    vector, why = ("vector", _WHY) if keep_vectors else ("x''", _DAMAGED)
    with index.transaction() as connection:
        connection.execute(
            f"INSERT INTO stale_faces ({_COLUMNS}, jpeg, model, vector, uuid, created, changed, face)"
            f" SELECT photo, person, is_primary, x0, y0, x1, y1, score, landmarks, t.jpeg, ?, {vector},"
            " i.id, i.created, i.changed, f.key FROM faces f JOIN vectors ON vectors.key = f.key"
            " LEFT JOIN thumbnails t ON t.face = f.key LEFT JOIN face_ids i ON i.face = f.key"
            " WHERE f.key IN (SELECT value FROM json_each(?)) ORDER BY f.key",
            (model, json.dumps(list(keys))),
        )
        index.remove(np.array(keys, np.int64))
        mark_photos(connection, why)
        # a bundle may add them again: they were not removed by a user
        connection.execute("DELETE FROM removed_faces WHERE id IN (SELECT uuid FROM stale_faces)")


def mark_photos(connection: sqlite3.Connection, why: str = _WHY) -> None:
    """Let photos all of whose faces are stale be analysed again when they are found."""
    connection.execute(
        "UPDATE photos SET state = 'unreadable', message = ?, reader = ''"
        " WHERE id IN (SELECT photo FROM stale_faces)"
        " AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)",
        (why,),
    )


def restore(index: FaceIndex, stale: Sequence[int], vectors: Float32Array) -> int:
    """Turn stale faces into ordinary ones with new vectors, inside a transaction; return how many still existed."""
    restored = 0
    with index.transaction() as connection:
        for row, vector in zip(stale, vectors, strict=True):
            restored += _restore_one(index, connection, row, vector)
            connection.execute("DELETE FROM stale_faces WHERE id = ?", (row,))
    return restored


def _restore_one(index: FaceIndex, connection: sqlite3.Connection, row: int, vector: Float32Array) -> bool:
    """Add the face of a row of `stale_faces`; False if it is gone, or a bundle has added the face already."""
    found = connection.execute(
        f"SELECT {_COLUMNS}, jpeg, uuid, created, changed, face FROM stale_faces WHERE id = ?", (row,)
    ).fetchone()
    if found is None:
        return False
    photo, person, is_primary, *box, score, landmarks, jpeg, uuid, created, changed, face = found
    if uuid is not None and connection.execute("SELECT 1 FROM face_ids WHERE id = ?", (uuid,)).fetchone():
        return False
    (key,) = index.add(vector, None if face is None or face in index else face).tolist()
    another = connection.execute("SELECT 1 FROM faces WHERE photo = ? AND is_primary", (photo,)).fetchone()
    primary = bool(is_primary) and another is None  # a bundle may have added a primary face
    rows.insert_face(connection, rows.FaceRow(key, photo, person, primary, box, score, landmarks, jpeg))
    connection.execute(
        "UPDATE photos SET state = 'ok', message = NULL, reader = ? WHERE id = ?", (reader_version(), photo)
    )
    if uuid is not None:
        ids.set_id(connection, "face_ids", key, (uuid, created, changed))
    return True


def remove_person(connection: sqlite3.Connection, person: int) -> int:
    """Remove the stale faces of a person, and photos without any other face; return how many faces."""
    shown = connection.execute("SELECT DISTINCT photo FROM stale_faces WHERE person = ?", (person,)).fetchall()
    removed = connection.execute("DELETE FROM stale_faces WHERE person = ?", (person,)).rowcount
    rows.delete_photos(connection, [photo for (photo,) in shown], without=("faces", "stale_faces"))
    return removed


def merge_people(connection: sqlite3.Connection, source: int, target: int) -> None:
    """Assign the stale faces of one person to another."""
    connection.execute("UPDATE stale_faces SET person = ? WHERE person = ?", (target, source))
