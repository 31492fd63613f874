"""The bin: faces of deleted people, with their vectors, outside the index until they are restored or erased."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from faceall.gallery.embedded.tables import ids, rows, stale_faces
from faceall.gallery.embedded.tables.expressions import NOW
from faceall.gallery.embedded.tables.traces import forget_erased
from faceall.gallery.records import BinEntry, Removal
from faceall.images import reader_version
from faceall.index import FaceIndex

_PLACE = "photo, person, is_primary, x0, y0, x1, y1, score, landmarks"
_COPIED = f"{_PLACE}, jpeg, model, vector, uuid, created, changed, face"
_IDS = "uuid IN (SELECT value FROM json_each(?))"
Moved = list[tuple[int | None, str | None]]
"""Key (None for a stale face) and id of each face that was moved."""


def put_person(index: FaceIndex, connection: sqlite3.Connection, person: int, change: int) -> Moved:
    """Move all faces of a person to the bin, stale ones included."""
    return _put(index, connection, rows.keys_of_person(connection, person), "person = ?", (person,), change)


def put_faces(index: FaceIndex, connection: sqlite3.Connection, uuids: Sequence[str], change: int) -> Moved:
    """Move the faces with some ids to the bin."""
    keys = [key for uuid in uuids if (key := ids.face_by_id(connection, uuid)) is not None]
    return _put(index, connection, keys, _IDS, (json.dumps(list(uuids)),), change)


def _put(
    index: FaceIndex,
    connection: sqlite3.Connection,
    keys: Sequence[int],
    stale: str,
    values: Sequence[object],
    change: int,
) -> Moved:
    place = ", ".join(f"f.{column}" for column in _PLACE.split(", "))
    connection.execute(
        f"INSERT INTO bin_faces (change, {_COPIED}) SELECT ?, {place}, t.jpeg, ?, v.vector, i.id, i.created,"
        " i.changed, f.key FROM faces f JOIN vectors v ON v.key = f.key LEFT JOIN thumbnails t ON t.face = f.key"
        " JOIN face_ids i ON i.face = f.key WHERE f.key IN (SELECT value FROM json_each(?)) AND f.person NOTNULL"
        " ORDER BY f.key",
        (change, str(index.model), json.dumps(list(keys))),
    )
    without_key = _COPIED.rsplit(", ", 1)[0]
    connection.execute(
        f"INSERT INTO bin_faces (change, {without_key}) SELECT ?, {without_key} FROM stale_faces"
        f" WHERE {stale} AND person NOTNULL",
        (change, *values),
    )
    moved = connection.execute("SELECT face, uuid FROM bin_faces WHERE change = ? ORDER BY id", (change,)).fetchall()
    index.remove(np.array(keys, np.int64))
    connection.execute(f"DELETE FROM stale_faces WHERE {_IDS}", (json.dumps([uuid for _, uuid in moved]),))
    return [(key, uuid) for key, uuid in moved]


def take(index: FaceIndex, connection: sqlite3.Connection, uuids: Sequence[str]) -> Moved:
    """Put the faces with some ids back where they were; stale if the gallery has another model now."""
    wanted = json.dumps(list(uuids))
    statement = f"SELECT id, face, uuid, model, vector FROM bin_faces WHERE {_IDS} ORDER BY id"
    binned = [_Binned(*row) for row in connection.execute(statement, (wanted,))]
    same_model = [one.face is not None and one.model == str(index.model) for one in binned]
    _take_faces(index, connection, list(compress(binned, same_model)))
    stale = json.dumps([one.row for one, same in zip(binned, same_model, strict=True) if not same])
    taken = connection.execute(
        f"INSERT INTO stale_faces ({_COPIED}) SELECT {_COPIED} FROM bin_faces"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (stale,),
    )
    if taken.rowcount:
        stale_faces.mark_photos(connection)
    connection.execute("DELETE FROM removed_faces WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    connection.execute(f"DELETE FROM bin_faces WHERE {_IDS}", (wanted,))
    return [(one.face, one.uuid) for one in binned]


class _Binned(NamedTuple):
    """A face in the bin: its row there, its key before and its id, and the model of its vector."""

    row: int
    face: int | None
    uuid: str
    model: str
    vector: bytes


def _take_faces(index: FaceIndex, connection: sqlite3.Connection, binned: Sequence[_Binned]) -> None:
    """Put faces back with their vectors; each statement does so for all of them, as in `rows.delete_photos`."""
    if not binned:
        return
    keys = _add_vectors(index, binned)
    given = json.dumps([(one.row, key) for one, key in zip(binned, keys, strict=True)])
    source = "json_each(?) JOIN bin_faces b ON b.id = json_extract(value, '$[0]')"
    key = "json_extract(value, '$[1]')"
    is_primary = (
        "b.is_primary AND row_number() OVER (PARTITION BY b.photo, b.is_primary ORDER BY b.id) = 1"
        " AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = b.photo AND is_primary)"
    )
    columns = ", ".join(is_primary if column == "is_primary" else f"b.{column}" for column in _PLACE.split(", "))
    connection.execute(f"INSERT INTO faces (key, {_PLACE}) SELECT {key}, {columns} FROM {source}", (given,))
    connection.execute(
        f"INSERT INTO thumbnails (face, jpeg) SELECT {key}, b.jpeg FROM {source} WHERE b.jpeg NOTNULL", (given,)
    )
    connection.execute(
        f"UPDATE face_ids SET id = b.uuid, created = b.created, changed = b.changed FROM {source}"
        f" WHERE face_ids.face = {key}",
        (given,),
    )
    connection.execute(
        "UPDATE photos SET state = 'ok', message = NULL, reader = ?"
        " WHERE id IN (SELECT photo FROM faces WHERE key IN (SELECT value FROM json_each(?)))",
        (reader_version(), json.dumps(keys)),
    )


def _add_vectors(index: FaceIndex, binned: Sequence[_Binned]) -> list[int]:
    """Add vectors under the keys they had, or under new ones where these are taken; return the keys."""
    vectors = np.stack([np.frombuffer(one.vector, "<f4").astype(np.float32) for one in binned])
    keys = np.array([one.face for one in binned], np.int64)
    free = np.array([key not in index for key in keys.tolist()])
    free[np.setdiff1d(np.arange(len(keys)), np.unique(keys, return_index=True)[1])] = False
    if free.any():
        index.add(vectors[free], keys[free])
    if not free.all():
        keys[~free] = index.add(vectors[~free])
    return [int(key) for key in keys]


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
    rows.delete_photos(connection, paths, without=("faces", "bin_faces", "stale_faces"))
    gone = [photo for photo in paths if not rows.has_photo(connection, photo)]
    connection.executemany("DELETE FROM changes WHERE id = ?", [(change,) for change in changes])
    forget_erased(connection, faces, people)
    return Removal(tuple(faces), tuple(gone), tuple(path for photo in gone for path in paths[photo]), stale)
