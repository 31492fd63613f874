"""A unit of work: changes are collected, visible to the reads of their writer, and written in a safe order.

Milvus has no transactions, so the order gives the guarantee. New faces and their thumbnails are written first, then
the rows of their photos, each of which makes its faces visible in one step. Faces to delete are first removed from the
row of their photo, then deleted. Before all this, a note lists the faces to be written, so that `sweep` finds what a
crash leaves behind.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
"""Age in seconds after which a note of faces to be written counts as left behind by a crash."""

K = TypeVar("K", int, str)

_INTENT = "writing/"
_NOTED = 2_000  # faces per note
_WHERE = ("id", "photo")


class Table(Generic[K]):
    """One collection as a unit of work sees it: its own changes, and the server's rows otherwise."""

    def __init__(self, connection: Connection, collection: Collection, *, keeps_answers: bool = False) -> None:
        self.collection = collection
        self._keeps_answers = keeps_answers
        self.changed: dict[K, Row | None] = {}
        self._connection = connection
        self._known: dict[K, Row | None] = {}
        self._answers: dict[str, list[Row]] = {}

    def get(self, keys: Iterable[K]) -> dict[K, Row]:
        """Return rows by key; unknown keys are skipped."""
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
        """Return the row of a key, None if there is none."""
        return self.get([key]).get(key)

    def where(self, condition: str, holds: Callable[[Row], bool], *, limit: int | None = None) -> list[Row]:
        """Return rows that match a condition.

        Parameters
        ----------
        condition : str
            The condition for the server.
        holds : callable
            The same condition in Python, for rows that this unit of work has changed.
        limit : int, optional
            The most rows to return.
        """
        key, columns = self.collection.key, self.collection.columns
        most = None if limit is None else limit + len(self.changed)
        found = self._answers.get(condition)
        if found is None:
            found = self._connection.where(self.collection.name, condition, columns, limit=most)
            if self._keeps_answers and limit is None:
                self._answers[condition] = found
        rows = [_plain(row, columns) for row in found if row[key] not in self.changed]
        self._known.update((row[key], row) for row in rows)  # another writer may have added one since `get`
        rows += [row for row in self.changed.values() if row is not None and holds(row)]
        return rows if limit is None else rows[:limit]

    def found(self, rows: Iterable[Row]) -> None:
        """Note rows that the server has returned otherwise, so that `get` does not ask for them."""
        for row in rows:
            self._known[row[self.collection.key]] = _plain(row, self.collection.columns)

    def remember(self, condition: str, rows: list[Row]) -> None:
        """Note which rows of the server match a condition, so that `where` does not ask again."""
        self._answers[condition] = rows

    def before(self) -> dict[K, Row | None]:
        """Return the server's rows of the changed keys that were read, None for those that do not exist."""
        return {key: self._known[key] for key in self.changed if key in self._known}

    def put(self, row: Row) -> None:
        """Write a row at the end of the unit of work, replacing one with the same key."""
        self.changed[row[self.collection.key]] = row

    def drop(self, key: K) -> None:
        """Delete a row at the end of the unit of work."""
        self.changed[key] = None

    def to_put(self) -> list[Row]:
        """Return the rows to write, with two zeros if the collection has no vectors."""
        rows = (row for row in self.changed.values() if row is not None)
        return [row if self.collection.vector != STAND_IN else {**row, STAND_IN: ZEROS} for row in rows]

    def to_drop(self) -> list[K]:
        """Return the keys to delete."""
        return [key for key, row in self.changed.items() if row is None]


class Work:
    """All tables of a gallery in one unit of work.

    Attributes
    ----------
    maybe_empty : set of int
        People who may have lost their last face.
    new_photos : set of int
        Photos that were added with faces.
    touched : list or None
        What a recorded change has done besides its rows; None if no change is recorded.
    recorded : dict
        The rows, by table and key, as the changes that were recorded have left them.
    first : list of dict
        Notes that are written before everything else.
    said : dict
        What users said of some faces: face -> kind of judgement -> people.
    stray : set of int or None
        The faces that no photo lists, if they were read already and do not have to be read again.
    """

    def __init__(self, connection: Connection, *, has_faces: bool, only_reads: bool = False) -> None:
        self._connection = connection
        self._has_faces = has_faces
        self.only_reads = only_reads
        self.faces: Table[int] = Table(connection, FACES, keeps_answers=only_reads)
        self.thumbnails: Table[int] = Table(connection, THUMBNAILS, keeps_answers=only_reads)
        self.photos: Table[int] = Table(connection, PHOTOS, keeps_answers=only_reads)
        self.files: Table[str] = Table(connection, FILES, keeps_answers=only_reads)
        self.people: Table[int] = Table(connection, PEOPLE, keeps_answers=only_reads)
        self.notes: Table[str] = Table(connection, NOTES, keeps_answers=only_reads)
        self.said: dict[int, dict[str, set[int]]] = {}
        self.stray: set[int] | None = None
        self.maybe_empty: set[int] = set()
        self.new_photos: set[int] = set()
        self.touched: list[Any] | None = None
        self.recorded: dict[tuple[str, Any], Any] = {}
        self.first: list[Row] = []

    def write(self) -> None:
        """Write all changes to the server, in an order in which no reader sees an incomplete photo."""
        if self.first:
            self._connection.put(NOTES.name, self.first)
        faces = list(self.thumbnails.changed)  # new ones and deleted ones
        notes = self._note(faces)
        for table in (self.thumbnails, self.faces, self.people, self.files, self.photos):
            self._put(table)
        for table in (self.photos, self.files, self.faces, self.thumbnails, self.people):
            self._drop(table)
        self._put(self.notes)
        self._drop(self.notes)
        self._remove_empty_people()
        self._connection.delete(NOTES.name, notes)
        if self.new_photos:
            mine = {key for key, row in self.faces.changed.items() if row is not None}
            self.maybe_empty = drop_duplicates(self._connection, self.new_photos, mine)
            self._remove_empty_people()
        self._connection.settle()

    def _put(self, table: Table[Any]) -> None:
        rows = table.to_put()
        if rows:
            self._connection.put(table.collection.name, rows)

    def _drop(self, table: Table[Any]) -> None:
        keys = table.to_drop()
        if keys and (self._has_faces or table is not self.faces):
            self._connection.delete(table.collection.name, keys)

    def _note(self, faces: Sequence[int]) -> list[str]:
        """Record which faces are being written; return the keys of the notes."""
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

    def _remove_empty_people(self) -> None:
        """Remove people who have lost their last face; restore one who got another face in the meantime."""
        alone = [person for person in sorted(self.maybe_empty) if not self._has_face(person)]
        rows = self._connection.get(PEOPLE.name, alone, PEOPLE.columns)
        self._connection.delete(PEOPLE.name, alone)
        back = [{**_plain(row, PEOPLE.columns), STAND_IN: ZEROS} for row in rows if self._has_face(row["id"])]
        if back:
            self._connection.put(PEOPLE.name, back)

    def _has_face(self, person: int) -> bool:
        return self._has_faces and bool(self._connection.where(FACES.name, f"person == {person}", ["id"], limit=1))


def unlisted_faces(connection: Connection, *, has_faces: bool) -> set[int]:
    """Return the ids of faces that no photo lists: their writer has not finished, or was killed."""
    faces = {face for note in _notes(connection) for face in note["value"]["faces"]}
    found = _found(connection, faces, has_faces=has_faces)
    return set(found) - _listed_faces(connection, found)


def sweep(connection: Connection, *, has_faces: bool, age: float | None = None) -> int:
    """Remove faces that killed writers have left behind.

    Parameters
    ----------
    connection : Connection
        The gallery.
    has_faces : bool
        Whether the collection of faces exists.
    age : float, optional
        Minimum age of a note in seconds. Default: `SWEEP_AGE`.

    Returns
    -------
    int
        The number of faces that no photo listed.
    """
    now, limit = time.time(), SWEEP_AGE if age is None else age
    old = [note for note in _notes(connection) if now - note["value"]["time"] >= limit]
    faces = {face for note in old for face in note["value"]["faces"]}
    found = _found(connection, faces, has_faces=has_faces)
    stray = faces - _listed_faces(connection, found)
    _remove(connection, stray, has_faces=has_faces)
    connection.delete(NOTES.name, [note["key"] for note in old])
    return len(stray)


def drop_duplicates(connection: Connection, photos: Iterable[int], mine: AbstractSet[int]) -> set[int]:
    """Remove the duplicate faces of photos that another writer has registered at the same time; called after a commit.

    Returns the people of these faces.

    The photo's row that was written last is valid. Of two writers, the one that reads last sees the faces of both: if
    there are only `mine`, the other one removes them. The notes are read after the faces and before the photos: a
    writer that finishes in between has its note still, or its row.
    """
    rows = connection.where(FACES.name, condition_in("photo", list(photos)), (*_WHERE, "person"), strong=True)
    found = {row["id"]: row["photo"] for row in rows}
    if found.keys() <= mine:
        return set()
    noted = {face for note in _notes(connection, strong=True) for face in note["value"]["faces"]}
    stray = set(found) - noted - _listed_faces(connection, found, strong=True)
    if stray:
        _remove(connection, stray, has_faces=True)
    return {row["person"] for row in rows if row["id"] in stray}


def _notes(connection: Connection, *, strong: bool = False) -> list[Row]:
    return connection.where(NOTES.name, condition_begins("key", _INTENT), ["key", "value"], strong=strong)


def _found(connection: Connection, faces: set[int], *, has_faces: bool) -> dict[int, int]:
    """Return the photo of each face that exists."""
    return {row["id"]: row["photo"] for row in connection.get(FACES.name, faces, _WHERE)} if has_faces else {}


def _remove(connection: Connection, faces: Iterable[int], *, has_faces: bool) -> None:
    gone = sorted(faces)
    if has_faces:
        connection.delete(FACES.name, gone)
    connection.delete(THUMBNAILS.name, gone)


def _listed_faces(connection: Connection, faces: Mapping[int, int], *, strong: bool = False) -> set[int]:
    """Return the faces (face -> photo) that the row of their photo lists."""
    found = connection.get(PHOTOS.name, set(faces.values()), PHOTOS.columns, strong=strong)
    photos = {row["id"]: listed(row) for row in found}
    return {face for face, photo in faces.items() if face in photos.get(photo, ())}


def listed(photo: Row) -> list[int]:
    """Return the ids of the faces that a photo's row lists."""
    return list(photo["record"]["faces"])


def _plain(row: Any, columns: Iterable[str]) -> Row:
    """Return some columns of a row."""
    return {column: row[column] for column in columns}
