"""Faces in SQLite, beside the vectors of the index that finds them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from faceall.errors import IndexDamagedError
from faceall.gallery.embedded import removal
from faceall.gallery.embedded.tables import ids, rows
from faceall.gallery.embedded.tables.columns import face_in, path_of, points_of
from faceall.gallery.records import Moment, Page, Removal, StoredFace
from faceall.gallery.store import Near
from faceall.index import FaceIndex
from faceall.types import Face, Float32Array, Int64Array, Matches

_FACE = (
    "SELECT faces.key, people.name, (SELECT path FROM files WHERE files.photo = faces.photo ORDER BY id LIMIT 1),"
    " x0, y0, x1, y1, score, faces.photo, faces.person,"
    " EXISTS (SELECT 1 FROM clusters WHERE clusters.person = faces.person), is_primary, landmarks,"
    " (SELECT id FROM face_ids WHERE face_ids.face = faces.key) IN (SELECT face FROM hidden_faces),"
    " moments.seconds, moments.first, moments.last, photos.width, photos.height"
    " FROM faces LEFT JOIN people ON people.id = faces.person LEFT JOIN moments ON moments.face = faces.key"
    " LEFT JOIN photos ON photos.id = faces.photo"
)

_OUTLINES = (
    "SELECT key, x0, y0, x1, y1, score, landmarks, width, height FROM faces LEFT JOIN photos ON photos.id = faces.photo"
    " WHERE key IN (SELECT value FROM json_each(?))"
)
_ASSIGN = (
    "UPDATE faces SET person = json_extract(given.value, '$[1]') FROM json_each(?) AS given"
    " WHERE faces.key = json_extract(given.value, '$[0]')"
)
_HIDDEN = "SELECT f.face FROM hidden_faces h JOIN face_ids f ON f.id = h.face"
"""SQL: the keys of the hidden faces."""

_KEYS = 500  # per statement, below SQLite's smallest limit on parameters


class EmbeddedFaces:
    """`FaceRecords` in SQLite and the index."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def nearest(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None, exact: bool = False
    ) -> Matches:
        """Return the k nearest faces of each vector, optionally among the faces of some people only."""
        return self._index.search(vectors, k, exact=exact, only=self._only(people))

    def near(
        self, vectors: Float32Array, k: int, *, people: Sequence[int] | None = None
    ) -> tuple[list[list[Near]], bool]:
        """Return the nearest faces with their distances, without those that were removed in the meantime."""
        found = self.nearest(vectors, k, people=people)
        stored = self.stored(found.keys.reshape(-1).tolist())
        near = [
            [(stored[key], distance) for key, distance in zip(keys, distances, strict=True) if key in stored]
            for keys, distances in zip(found.keys.tolist(), found.distances.tolist(), strict=True)
        ]
        return near, found.keys.shape[1] < k

    def _only(self, people: Sequence[int] | None) -> Int64Array | None:
        if people is None:
            return None
        with self._index.reading() as connection:
            keys = list(chain.from_iterable(rows.keys_of_person(connection, person) for person in people))
        return np.array(keys, np.int64)

    def distances(self, vector: Float32Array, people: Sequence[int]) -> dict[int, Float32Array]:
        """Return for each of some people the squared distances of a vector to all their faces, ascending."""
        return {person: self._distances(vector, person) for person in people}

    def _distances(self, vector: Float32Array, person: int) -> Float32Array:
        with self._index.reading() as connection:
            keys = rows.keys_of_person(connection, person)
        return self._index.search(vector, max(len(keys), 1), only=keys, exact=True).distances.reshape(-1)

    def vectors(self, keys: Sequence[int]) -> Float32Array:
        """Return (n, dimension) float32, a row per key; zeros for an unknown key."""
        vectors = np.zeros((len(keys), self._index.dimension or 0), np.float32)
        places: dict[int, list[int]] = {}
        for row, key in enumerate(keys):
            places.setdefault(int(key), []).append(row)
        statement = "SELECT key, vector FROM vectors WHERE key IN (SELECT value FROM json_each(?))"
        with self._index.reading() as connection:
            for key, vector in connection.execute(statement, (json.dumps(list(places)),)):
                vectors[places[key]] = np.frombuffer(vector, "<f4")
        return vectors

    def in_shared_order(self, keys: Sequence[int]) -> list[int]:
        """Return face keys in the order of their ids."""
        with self._index.reading() as connection:
            return ids.sorted_by_id(connection, "face_ids", keys)

    def stored(self, keys: Iterable[int]) -> dict[int, StoredFace]:
        """Return the faces with some keys; unknown keys are left out."""
        wanted = json.dumps(sorted({int(key) for key in keys}))
        with self._index.reading() as connection:
            found = select_faces(connection, "WHERE faces.key IN (SELECT value FROM json_each(?))", (wanted,))
        return {face.face_id: face for face in found}

    def listed(
        self, *, person: int | None = None, photo: int | None = None, unassigned: bool = False
    ) -> list[StoredFace]:
        """Return faces ordered by key, optionally only those of a person, on a photo or unassigned."""
        where, values = _rules(person, photo, unassigned)
        with self._index.reading() as connection:
            return select_faces(connection, f"{where} ORDER BY key", values)

    def page(
        self,
        *,
        person: int | None,
        photo: int | None,
        unassigned: bool,
        hidden: bool,
        largest_first: bool,
        limit: int,
        offset: int,
    ) -> Page[StoredFace]:
        """Return one page of the hidden faces, or of the others, ordered by key or by size."""
        where, values = _rules(person, photo, unassigned)
        where += f"{' AND' if where else 'WHERE'} faces.key {'' if hidden else 'NOT '}IN ({_HIDDEN})"
        order = "(x1 - x0) * (y1 - y0) DESC, key" if largest_first else "key"
        with self._index.reading() as connection:
            (total,) = connection.execute(f"SELECT count(*) FROM faces {where}", values).fetchone()
            found = select_faces(connection, f"{where} ORDER BY {order} LIMIT ? OFFSET ?", (*values, limit, offset))
        return Page(tuple(found), total)

    def hidden(self) -> frozenset[int]:
        """Return the keys of the hidden faces."""
        with self._index.reading() as connection:
            return frozenset(row[0] for row in connection.execute(_HIDDEN))

    def set_hidden(self, keys: Iterable[int], *, hidden: bool) -> int:
        """Hide faces, or show them again; return how many were changed."""
        found = "SELECT id FROM face_ids WHERE face IN (SELECT value FROM json_each(?))"
        statement = (
            f"INSERT OR IGNORE INTO hidden_faces {found}"
            if hidden
            else f"DELETE FROM hidden_faces WHERE face IN ({found})"
        )
        with self._index.transaction() as connection:
            return connection.execute(statement, (json.dumps(list(keys)),)).rowcount

    def thumbnail(self, key: int) -> bytes | None:
        """Return the thumbnail of a face as a JPEG.

        Raises
        ------
        IndexDamagedError
            If the stored thumbnail is damaged.
        """
        if key not in self._index:  # also true of a number that SQLite cannot hold
            return None
        with self._index.reading() as connection:
            row = connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (key,)).fetchone()
        if row is not None and not isinstance(row[0], bytes):
            raise IndexDamagedError(
                f"the thumbnail of face {key} is damaged: create it again with faceall index repair"
            )
        return None if row is None else row[0]

    def outlines(self, keys: Iterable[int]) -> dict[int, tuple[Face, tuple[int, int] | None]]:
        """Return faces as they were detected, with the width and height of their images; unknown keys are left out."""
        with self._index.reading() as connection:
            found = connection.execute(_OUTLINES, (json.dumps(sorted(keys)),)).fetchall()
        return {row[0]: _outline(row) for row in found}

    def thumbnails(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Return the thumbnails of faces as JPEGs; missing and damaged ones are left out."""
        statement = "SELECT face, jpeg FROM thumbnails WHERE face IN (SELECT value FROM json_each(?))"
        with self._index.reading() as connection:
            found = dict(connection.execute(statement, (json.dumps(sorted(keys)),)))
        return {key: jpeg for key, jpeg in found.items() if isinstance(jpeg, bytes)}

    def owners(self, keys: Sequence[int]) -> dict[int, int | None]:
        """Return the person of each face; unknown keys are left out."""
        wanted = [key for key in keys if -(1 << 63) <= key < 1 << 63]  # SQLite cannot hold others
        found: dict[int, int | None] = {}
        with self._index.reading() as connection:
            for start in range(0, len(wanted), _KEYS):
                some = wanted[start : start + _KEYS]
                marks = ",".join("?" * len(some))
                found.update(connection.execute(f"SELECT key, person FROM faces WHERE key IN ({marks})", some))
        return {key: found[key] for key in wanted if key in found}

    def assign(self, keys: Sequence[int], person: int | None) -> None:
        """Assign faces to the person with a row, or unassign them."""
        self.assign_each(dict.fromkeys(keys, person))

    def assign_each(self, people: Mapping[int, int | None]) -> None:
        """Assign each face to the person with a row, or unassign it."""
        with self._index.transaction() as connection:
            before = self.owners(list(people))
            # one statement: many in one transaction take SQLite time that grows with the square of their number
            connection.execute(_ASSIGN, (json.dumps([[key, people[key]] for key in before]),))
            rows.remove_empty_people(connection, before.values())

    def remove(self, keys: Sequence[int]) -> Removal:
        """Remove faces permanently, and photos that have no other face."""
        return removal.delete_faces(self._index, keys)

    def assignments(self) -> Iterator[tuple[int, int, int | None]]:
        """Return key, photo and person of every face, ordered by key."""
        with self._index.reading() as connection:
            return iter(connection.execute("SELECT key, photo, person FROM faces ORDER BY key").fetchall())

    def of_videos(self) -> frozenset[int]:
        """Return the faces that were found in videos."""
        with self._index.reading() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT face FROM moments"))


def select_faces(connection: sqlite3.Connection, rest: str, values: Sequence[object] = ()) -> list[StoredFace]:
    """Return the faces that the rest of a statement after FROM selects."""
    return [_stored(row) for row in connection.execute(f"{_FACE} {rest}", values)]


def _rules(person: int | None, photo: int | None, unassigned: bool) -> tuple[str, list[int]]:
    """Return a WHERE clause and its values."""
    given = [(column, value) for column, value in (("person", person), ("photo", photo)) if value is not None]
    rules = ["faces.person IS NULL"] * unassigned + [f"faces.{column} = ?" for column, _ in given]
    return f"WHERE {' AND '.join(rules)}" if rules else "", [value for _, value in given]


def _outline(row: Sequence[Any]) -> tuple[Face, tuple[int, int] | None]:
    key, *stored, width, height = row
    try:
        return face_in(stored), None if width is None or height is None else (int(width), int(height))
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(key) from error


def _stored(row: Sequence[Any]) -> StoredFace:
    try:
        return _as_face(row)
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(row[0]) from error


def _damaged(key: int) -> IndexDamagedError:
    return IndexDamagedError(f"face {key} is damaged: save what can be read (faceall index repair)")


def _as_face(row: Sequence[Any]) -> StoredFace:
    key, person, path, x0, y0, x1, y1, score, photo_id, person_id, unnamed, primary, landmarks, hidden, *rest = row
    *times, width, height = rest
    return StoredFace(
        key,
        person,
        path_of(path),
        (x0, y0, x1, y1),
        score,
        photo_id,
        person_id,
        not unnamed,
        bool(primary),
        points_of(landmarks),
        bool(hidden),
        None if times[0] is None else Moment(*times),
        None if width is None or height is None else (int(width), int(height)),
    )
