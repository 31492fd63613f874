"""Faces that have no vector of the gallery's model, because their photo was gone when the model was changed.

They are kept with everything that is known of them, the old vector too, and are not searched. They come back, under
their ids and to their people, when their photo is migrated or registered again. Who removes their photo or person
removes them as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import faceall
from faceall.gallery.bundle.ids import has_ids
from faceall.index import FaceIndex
from faceall.types import Float32Array

_WHY = "its photo was gone when the gallery changed its model, so its faces are aside: faceall index migrate"
_TABLES = (
    "CREATE TABLE aside (id INTEGER PRIMARY KEY, photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,"
    " person INTEGER REFERENCES people (id) ON DELETE SET NULL, chief INTEGER NOT NULL, x0 REAL NOT NULL,"
    " y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL, score REAL NOT NULL, landmarks BLOB NOT NULL, jpeg BLOB,"
    " model TEXT NOT NULL, vector BLOB NOT NULL, uuid TEXT, created TEXT, changed TEXT, face INTEGER)",
    "CREATE INDEX aside_photo ON aside (photo)",
    "CREATE INDEX aside_person ON aside (person)",
    # a person whose faces are all aside is still somebody
    "CREATE TRIGGER aside_keeps_people BEFORE DELETE ON people"
    " WHEN EXISTS (SELECT 1 FROM aside WHERE person = old.id) BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER aside_lets_people_go AFTER DELETE ON aside BEGIN DELETE FROM people WHERE id = old.person"
    " AND id NOT IN (SELECT person FROM faces WHERE person IS NOT NULL); END",
)
_COLUMNS = "photo, person, chief, x0, y0, x1, y1, score, landmarks"
_TAKEN = (  # another gallery's bundle may have brought a chief face meanwhile
    "photo, person, chief AND NOT EXISTS (SELECT 1 FROM faces f WHERE f.photo = aside.photo AND f.chief),"
    " x0, y0, x1, y1, score, landmarks"
)


@dataclass(frozen=True, eq=False)
class Waiting:
    """A face that is aside: its row, the model and vector that it had, and x0 y0 x1 y1 score landmarks."""

    id: int
    model: str
    vector: Float32Array
    place: tuple[object, ...]


def is_there(connection: sqlite3.Connection) -> bool:
    """Whether the gallery has ever changed its model."""
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'aside'"
    return connection.execute(statement).fetchone() is not None


def prepare(connection: sqlite3.Connection) -> None:
    """Make the table if it is missing, or complete an older one, inside the caller's transaction."""
    if not is_there(connection):
        for statement in _TABLES:
            connection.execute(statement)
    elif "face" not in {row[1] for row in connection.execute("PRAGMA table_info(aside)")}:
        connection.execute("ALTER TABLE aside ADD COLUMN face INTEGER")


def count(connection: sqlite3.Connection) -> int:
    """How many faces are aside."""
    if not is_there(connection):
        return 0
    return int(connection.execute("SELECT count(*) FROM aside").fetchone()[0])


def has_photo(connection: sqlite3.Connection, photo: int) -> bool:
    """Whether faces of a photo are aside."""
    if not is_there(connection):
        return False
    return connection.execute("SELECT 1 FROM aside WHERE photo = ?", (photo,)).fetchone() is not None


def put_aside(index: FaceIndex, keys: Sequence[int], model: str) -> None:
    """Move faces out of the gallery, inside a transaction; their photos are looked at anew when they turn up."""
    if not keys:
        return
    with index.transaction() as connection:
        prepare(connection)
        identified = has_ids(connection)
        ids = "i.id, i.created, i.changed" if identified else "NULL, NULL, NULL"
        join = "LEFT JOIN face_ids i ON i.face = f.key" if identified else ""
        for key in keys:
            connection.execute(
                f"INSERT INTO aside ({_COLUMNS}, jpeg, model, vector, uuid, created, changed, face)"
                " SELECT photo, person, chief, x0, y0, x1, y1, score, landmarks, t.jpeg, ?,"
                f" vector, {ids}, f.key FROM faces f JOIN vectors ON vectors.key = f.key"
                f" LEFT JOIN thumbnails t ON t.face = f.key {join} WHERE f.key = ?",
                (model, key),
            )
        index.remove(np.array(keys, np.int64))
        connection.execute(
            "UPDATE photos SET state = 'unreadable', message = ?, reader = '' WHERE id IN (SELECT photo FROM aside)"
            " AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)",
            (_WHY,),
        )
        if identified:  # they are not removed in the sense of bundles
            connection.execute("DELETE FROM removed_faces WHERE id IN (SELECT uuid FROM aside)")


def waiting(connection: sqlite3.Connection, photo: int) -> list[Waiting]:
    """The faces of a photo that are aside."""
    rows = connection.execute(
        "SELECT id, model, vector, x0, y0, x1, y1, score, landmarks FROM aside WHERE photo = ? ORDER BY id", (photo,)
    )
    return [Waiting(row[0], row[1], np.frombuffer(row[2], "<f4").astype(np.float32), tuple(row[3:])) for row in rows]


def waiting_for(connection: sqlite3.Connection, digest: bytes) -> list[Waiting]:
    """The faces that are aside of the photo whose content has this SHA-256."""
    if not is_there(connection):
        return []
    row = connection.execute("SELECT id FROM photos WHERE hash = ?", (digest,)).fetchone()
    return [] if row is None else waiting(connection, row[0])


def take_back(index: FaceIndex, ids: Sequence[int], vectors: Float32Array) -> int:
    """Make faces that are aside ordinary ones again, inside a transaction; returns how many were still there."""
    taken = 0
    with index.transaction() as connection:
        prepare(connection)
        for row, vector in zip(ids, vectors, strict=True):
            found = connection.execute(
                "SELECT photo, uuid, created, changed, face FROM aside WHERE id = ?", (row,)
            ).fetchone()
            if found is None or _is_known(connection, found[1]):
                connection.execute("DELETE FROM aside WHERE id = ?", (row,))
                continue
            (key,) = index.add(vector, None if found[4] is None or found[4] in index else found[4]).tolist()
            connection.execute(
                f"INSERT INTO faces (key, {_COLUMNS}) SELECT ?, {_TAKEN} FROM aside WHERE id = ?", (key, row)
            )
            connection.execute(
                "INSERT INTO thumbnails SELECT ?, jpeg FROM aside WHERE id = ? AND jpeg IS NOT NULL", (key, row)
            )
            connection.execute(
                "UPDATE photos SET state = 'ok', message = NULL, reader = ? WHERE id = ?",
                (faceall.__version__, found[0]),
            )
            if found[1] is not None and has_ids(connection):
                connection.execute(
                    "UPDATE face_ids SET id = ?, created = ?, changed = ? WHERE face = ?", (*found[1:4], key)
                )
            connection.execute("DELETE FROM aside WHERE id = ?", (row,))
            taken += 1
    return taken


def _is_known(connection: sqlite3.Connection, identity: str | None) -> bool:
    """Whether a bundle has brought the face back already."""
    if identity is None or not has_ids(connection):
        return False
    return connection.execute("SELECT 1 FROM face_ids WHERE id = ?", (identity,)).fetchone() is not None


def forget_person(connection: sqlite3.Connection, person: int) -> int:
    """Remove the faces of a person that are aside, and photos that nothing else is known of; returns how many."""
    if not is_there(connection):
        return 0
    photos = connection.execute("SELECT DISTINCT photo FROM aside WHERE person = ?", (person,)).fetchall()
    removed = connection.execute("DELETE FROM aside WHERE person = ?", (person,)).rowcount
    connection.executemany(
        "DELETE FROM photos WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = ?1)"
        " AND NOT EXISTS (SELECT 1 FROM aside WHERE photo = ?1)",
        photos,
    )
    return removed


def merge_people(connection: sqlite3.Connection, source: int, target: int) -> None:
    """File the faces of one person that are aside under another."""
    if is_there(connection):
        connection.execute("UPDATE aside SET person = ? WHERE person = ?", (target, source))
