"""The bin: faces of deleted people, with their vectors, outside the index until they are restored or erased."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np

from faceall.gallery.embedded.tables import ids, rows, stale_faces
from faceall.gallery.embedded.tables.expressions import NOW
from faceall.gallery.embedded.tables.traces import forget_erased
from faceall.gallery.records import BinEntry, Removal
from faceall.images import reader_version
from faceall.index import FaceIndex

_PLACE = "photo, person, is_primary, x0, y0, x1, y1, score, landmarks"
_COPIED = f"{_PLACE}, jpeg, model, vector, uuid, created, changed, face"
Moved = list[tuple[int | None, str | None]]
"""Key (None for a stale face) and id of each face that was moved."""


def put_person(index: FaceIndex, connection: sqlite3.Connection, person: int, change: int) -> Moved:
    """Move all faces of a person to the bin, stale ones included."""
    return _put(index, connection, rows.keys_of_person(connection, person), "person = ?", (person,), change)


def put_faces(index: FaceIndex, connection: sqlite3.Connection, uuids: Sequence[str], change: int) -> Moved:
    """Move the faces with some ids to the bin."""
    keys = [key for uuid in uuids if (key := ids.face_by_id(connection, uuid)) is not None]
    where = "uuid IN (SELECT value FROM json_each(?))"
    return _put(index, connection, keys, where, (json.dumps(list(uuids)),), change)


def _put(
    index: FaceIndex,
    connection: sqlite3.Connection,
    keys: Sequence[int],
    stale: str,
    values: Sequence[object],
    change: int,
) -> Moved:
    place = ", ".join(f"f.{column}" for column in _PLACE.split(", "))
    connection.executemany(
        f"INSERT INTO bin_faces (change, {_COPIED}) SELECT ?, {place}, t.jpeg, ?, v.vector, i.id, i.created,"
        " i.changed, f.key FROM faces f JOIN vectors v ON v.key = f.key LEFT JOIN thumbnails t ON t.face = f.key"
        " JOIN face_ids i ON i.face = f.key WHERE f.key = ? AND f.person NOTNULL",
        [(change, str(index.model), key) for key in keys],
    )
    without_key = _COPIED.rsplit(", ", 1)[0]
    connection.execute(
        f"INSERT INTO bin_faces (change, {without_key}) SELECT ?, {without_key} FROM stale_faces"
        f" WHERE {stale} AND person NOTNULL",
        (change, *values),
    )
    moved = connection.execute("SELECT face, uuid FROM bin_faces WHERE change = ? ORDER BY id", (change,)).fetchall()
    index.remove(np.array(keys, np.int64))
    uuids = [(uuid,) for _, uuid in moved]
    connection.executemany("DELETE FROM stale_faces WHERE uuid = ?", uuids)
    return [(key, uuid) for key, uuid in moved]


def take(index: FaceIndex, connection: sqlite3.Connection, uuids: Sequence[str]) -> Moved:
    """Put the faces with some ids back where they were; stale if the gallery has another model now."""
    one = f"SELECT {_COPIED} FROM bin_faces WHERE uuid = ?"
    found = [row for uuid in uuids for row in connection.execute(one, (uuid,)).fetchall()]
    moved: Moved = []
    for row in found:
        *_, uuid, _, _, face = row
        if face is None or row[10] != str(index.model):
            _take_as_stale(connection, row)
        else:
            _take_one(index, connection, row)
        connection.execute("DELETE FROM removed_faces WHERE id = ?", (uuid,))
        moved.append((face, uuid))
    connection.executemany("DELETE FROM bin_faces WHERE uuid = ?", [(uuid,) for uuid in uuids])
    return moved


def _take_one(index: FaceIndex, connection: sqlite3.Connection, row: Sequence[object]) -> None:
    photo, person, primary, *box, score, landmarks, jpeg, _, vector, uuid, created, changed, face = row
    numbers = np.frombuffer(vector, "<f4").astype(np.float32)  # type: ignore[call-overload]
    (key,) = index.add(numbers, None if face in index else face).tolist()  # type: ignore[arg-type]
    another = connection.execute("SELECT 1 FROM faces WHERE photo = ? AND is_primary", (photo,)).fetchone()
    is_primary = bool(primary) and another is None
    place = rows.FaceRow(key, photo, person, is_primary, box, score, landmarks, jpeg)  # type: ignore[arg-type]
    rows.insert_face(connection, place)
    ids.set_id(connection, "face_ids", key, (uuid, created, changed))  # type: ignore[arg-type]
    connection.execute(
        "UPDATE photos SET state = 'ok', message = NULL, reader = ? WHERE id = ?", (reader_version(), photo)
    )


def _take_as_stale(connection: sqlite3.Connection, row: Sequence[object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO stale_faces ({_COPIED}) VALUES ({marks})", tuple(row))
    stale_faces.mark_photos(connection)


def entries(connection: sqlite3.Connection) -> list[BinEntry]:
    """Return what the bin holds, the last deletion first."""
    found = connection.execute(
        "SELECT c.id, c.details, c.made, count(*) FROM changes c JOIN bin_faces b ON b.change = c.id"
        " GROUP BY c.id ORDER BY c.id DESC"
    )
    return [BinEntry(change, _person_in(details), made, faces) for change, details, made, faces in found]


def _person_in(details: str) -> str:
    return str(json.loads(details).get("person", ""))


def expired(connection: sqlite3.Connection, days: int) -> list[int]:
    """Return the changes whose faces have been in the bin for more than some days."""
    found = connection.execute(
        "SELECT DISTINCT c.id FROM changes c JOIN bin_faces b ON b.change = c.id"
        f" WHERE julianday({NOW}) - julianday(c.made) > ?",
        (days,),
    )
    return [row[0] for row in found]


def erase(connection: sqlite3.Connection, changes: Sequence[int]) -> Removal:
    """Remove the faces of some changes from the bin for good, and photos that show no other face."""
    faces: list[int] = []
    stale, photos, people = 0, set(), set()
    for change in changes:
        for face, photo, person in connection.execute(
            "SELECT face, photo, person FROM bin_faces WHERE change = ?", (change,)
        ).fetchall():
            faces += [face] if face is not None else []
            stale += face is None
            photos.add(photo)
            people.add(person)
        connection.execute("DELETE FROM bin_faces WHERE change = ?", (change,))
    paths = {photo: rows.paths_of(connection, photo) for photo in sorted(photos)}
    connection.executemany(f"DELETE FROM photos WHERE id = ?1 AND {WITHOUT_FACES}", [(photo,) for photo in paths])
    gone = [photo for photo in paths if not rows.has_photo(connection, photo)]
    connection.executemany("DELETE FROM changes WHERE id = ?", [(change,) for change in changes])
    forget_erased(connection, faces, people)
    return Removal(tuple(faces), tuple(gone), tuple(path for photo in gone for path in paths[photo]), stale)


WITHOUT_FACES = (
    "NOT EXISTS (SELECT 1 FROM faces WHERE photo = ?1) AND NOT EXISTS (SELECT 1 FROM bin_faces WHERE photo = ?1)"
    " AND NOT EXISTS (SELECT 1 FROM stale_faces WHERE photo = ?1)"
)
"""SQL: the photo ?1 shows no face, neither in the gallery nor in its bin."""
