"""A unit of work: what a writer changes is gathered, seen by its own reads, and written in an order that is safe.

The order is the promise. New faces and their thumbnails come first, the rows of their photos after them: each of these
rows makes its faces count, at once. What goes is first struck from the row of its photo, then removed. Before all
that a note says which faces are on their way, so that what a crash leaves behind is found and swept.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from faceall.gallery.milvus.connection import Connection, Row
from faceall.gallery.milvus.identity import condition_begins, condition_in
from faceall.gallery.milvus.layout import (
    FACES,
    FILES,
    NOTES,
    PEOPLE,
    PHOTOS,
    STAND_IN,
    THUMBNAILS,
    ZEROS,
    Collection,
)

SWEEP_AGE = 600.0
"""Seconds after which a note of faces on their way is taken for one that a crash has left."""

K = TypeVar("K", int, str)

_INTENT = "writing/"
_NOTED = 2_000  # faces per note
_WHERE = ("id", "photo")


class Table(Generic[K]):
    """One collection, as a unit of work sees it; rows that it has not changed are those of the server."""

    def __init__(self, connection: Connection, collection: Collection) -> None:
        self.collection = collection
        self.changed: dict[K, Row | None] = {}
        self._connection = connection
        self._known: dict[K, Row | None] = {}

    def get(self, keys: Iterable[K]) -> dict[K, Row]:
        """The rows of those keys that are there."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self.changed and key not in self._known]
        if missing:
            self._known.update(dict.fromkeys(missing))
            key = self.collection.key
            for row in self._connection.get(self.collection.name, missing, self.collection.columns):
                self._known[row[key]] = _plain(row, self.collection.columns)
        rows = ((key, self.changed[key] if key in self.changed else self._known[key]) for key in wanted)
        return {key: row for key, row in rows if row is not None}

    def one(self, key: K) -> Row | None:
        """The row of a key, None where it is not there."""
        return self.get([key]).get(key)

    def where(self, condition: str, holds: Callable[[Row], bool], *, limit: int | None = None) -> list[Row]:
        """The rows for which a condition holds; `holds` says the same of a row in Python."""
        key, columns = self.collection.key, self.collection.columns
        most = None if limit is None else limit + len(self.changed)
        found = self._connection.where(self.collection.name, condition, columns, limit=most)
        rows = [_plain(row, columns) for row in found if row[key] not in self.changed]
        rows += [row for row in self.changed.values() if row is not None and holds(row)]
        return rows if limit is None else rows[:limit]

    def put(self, row: Row) -> None:
        """Write a row at the end, in the place of one with its key."""
        self.changed[row[self.collection.key]] = row

    def drop(self, key: K) -> None:
        """Remove a row at the end."""
        self.changed[key] = None

    def to_put(self) -> list[Row]:
        """The rows to write, with a vector where the collection has none of its own."""
        rows = (row for row in self.changed.values() if row is not None)
        return [row if self.collection.vector != STAND_IN else {**row, STAND_IN: ZEROS} for row in rows]

    def to_drop(self) -> list[K]:
        """The keys to remove."""
        return [key for key, row in self.changed.items() if row is None]


class Work:
    """All tables of a gallery in one unit of work.

    left_alone  people who may have lost their last face
    new_photos  photos that came with faces
    """

    def __init__(self, connection: Connection, *, has_faces: bool) -> None:
        self._connection = connection
        self._has_faces = has_faces
        self.faces: Table[int] = Table(connection, FACES)
        self.thumbnails: Table[int] = Table(connection, THUMBNAILS)
        self.photos: Table[int] = Table(connection, PHOTOS)
        self.files: Table[str] = Table(connection, FILES)
        self.people: Table[int] = Table(connection, PEOPLE)
        self.notes: Table[str] = Table(connection, NOTES)
        self.left_alone: set[int] = set()
        self.new_photos: set[int] = set()

    def write(self) -> None:
        """Bring everything to the server, in the order that keeps half a photo from being seen."""
        faces = list(self.thumbnails.changed)  # those that come, and those that go
        notes = self._note(faces)
        for coming in (self.thumbnails, self.faces, self.people, self.files, self.photos):
            self._put(coming)
        for going in (self.photos, self.files, self.faces, self.thumbnails, self.people):
            self._drop(going)
        self._put(self.notes)
        self._drop(self.notes)
        self._forget_nobodies()
        self._connection.delete(NOTES.name, notes)
        if self.new_photos:
            drop_doubles(self._connection, self.new_photos)

    def _put(self, table: Table[Any]) -> None:
        rows = table.to_put()
        if rows:
            self._connection.put(table.collection.name, rows)

    def _drop(self, table: Table[Any]) -> None:
        keys = table.to_drop()
        if keys and (self._has_faces or table is not self.faces):
            self._connection.delete(table.collection.name, keys)

    def _note(self, faces: Sequence[int]) -> list[str]:
        """Say which faces are on their way; returns the keys of the notes."""
        rows: list[Row] = [
            {
                "key": f"{_INTENT}{secrets.token_hex(8)}",
                "value": {"time": time.time(), "faces": list(faces[start : start + _NOTED])},
                STAND_IN: ZEROS,
            }
            for start in range(0, len(faces), _NOTED)
        ]
        if rows:
            self._connection.put(NOTES.name, rows)
        return [row["key"] for row in rows]

    def _forget_nobodies(self) -> None:
        """Drop people whom this work has taken their last face; one who got another meanwhile is put back."""
        alone = [person for person in sorted(self.left_alone) if not self._has_face(person)]
        rows = self._connection.get(PEOPLE.name, alone, PEOPLE.columns)
        self._connection.delete(PEOPLE.name, alone)
        back = [{**_plain(row, PEOPLE.columns), STAND_IN: ZEROS} for row in rows if self._has_face(row["id"])]
        if back:
            self._connection.put(PEOPLE.name, back)

    def _has_face(self, person: int) -> bool:
        return self._has_faces and bool(self._connection.where(FACES.name, f"person == {person}", ["id"], limit=1))


def on_their_way(connection: Connection, *, has_faces: bool) -> set[int]:
    """The ids of faces that are there and do not count: their writer has not finished, or was killed."""
    faces = {face for note in _notes(connection) for face in note["value"]["faces"]}
    found = _found(connection, faces, has_faces=has_faces)
    return set(found) - _counting(connection, found)


def sweep(connection: Connection, *, has_faces: bool, age: float | None = None) -> int:
    """Remove the faces that writers have left behind which were killed; returns how many were on their way.

    age  seconds that a note has to be old; None: `SWEEP_AGE`
    """
    now, limit = time.time(), SWEEP_AGE if age is None else age
    old = [note for note in _notes(connection) if now - note["value"]["time"] >= limit]
    faces = {face for note in old for face in note["value"]["faces"]}
    found = _found(connection, faces, has_faces=has_faces)
    stray = faces - _counting(connection, found)
    _remove(connection, stray, has_faces=has_faces)
    connection.delete(NOTES.name, [note["key"] for note in old])
    return len(stray)


def drop_doubles(connection: Connection, photos: Iterable[int]) -> None:
    """After a commit: of photos that two writers filed at once, remove the faces that were the other's.

    The row that was written last counts. Faces in a note are left to whoever wrote that.
    """
    found = {
        row["id"]: row["photo"] for row in connection.where(FACES.name, condition_in("photo", list(photos)), _WHERE)
    }
    stray = set(found) - _counting(connection, found)
    if stray:
        noted = {face for note in _notes(connection) for face in note["value"]["faces"]}
        _remove(connection, stray - noted, has_faces=True)


def _notes(connection: Connection) -> list[Row]:
    return connection.where(NOTES.name, condition_begins("key", _INTENT), ["key", "value"])


def _found(connection: Connection, faces: set[int], *, has_faces: bool) -> dict[int, int]:
    """Those faces that are there, with their photos."""
    return {row["id"]: row["photo"] for row in connection.get(FACES.name, faces, _WHERE)} if has_faces else {}


def _remove(connection: Connection, faces: Iterable[int], *, has_faces: bool) -> None:
    gone = sorted(faces)
    if has_faces:
        connection.delete(FACES.name, gone)
    connection.delete(THUMBNAILS.name, gone)


def _counting(connection: Connection, faces: Mapping[int, int]) -> set[int]:
    """Those faces, given with their photos, that the row of their photo lists."""
    photos = {row["id"]: listed(row) for row in connection.get(PHOTOS.name, set(faces.values()), PHOTOS.columns)}
    return {face for face, photo in faces.items() if face in photos.get(photo, ())}


def listed(photo: Row) -> list[int]:
    """The ids of the faces that a photo's row makes count."""
    return list(photo["record"]["faces"])


def _plain(row: Any, columns: Iterable[str]) -> Row:
    """The columns of a row, without the stand-in for a vector."""
    return {column: row[column] for column in columns}
