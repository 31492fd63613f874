"""Single rows of the gallery's tables: the statements that several parts of the store share."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceall.gallery.embedded.tables.columns import path_of
from faceall.gallery.records import Moment


@dataclass(frozen=True)
class FaceRow:
    """A row of `faces` with its thumbnail.

    Parameters
    ----------
    key, photo : int
        The key of the face's vector, and the row of its photo.
    person : int or None
        The row of the person.
    is_primary : bool
        Whether this is the primary face of its photo.
    box : sequence of float
        x0, y0, x1, y1 in pixels.
    score : float
        The score of the detector.
    landmarks : bytes
        Ten little-endian float32.
    jpeg : bytes or None
        The thumbnail, None where it is missing.
    """

    key: int
    photo: int
    person: int | None
    is_primary: bool
    box: Sequence[float]
    score: float
    landmarks: bytes
    jpeg: bytes | None


def insert_face(connection: sqlite3.Connection, face: FaceRow) -> None:
    """Add a face, whose vector is in the index already, with its thumbnail."""
    connection.execute(
        "INSERT INTO faces (key, photo, person, is_primary, x0, y0, x1, y1, score, landmarks)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (face.key, face.photo, face.person, face.is_primary, *face.box, face.score, face.landmarks),
    )
    if face.jpeg is not None:
        connection.execute("INSERT INTO thumbnails (face, jpeg) VALUES (?, ?)", (face.key, face.jpeg))


def insert_photo(
    connection: sqlite3.Connection,
    digest: bytes,
    *,
    state: str,
    message: str | None,
    reader: str,
    width: int | None,
    height: int | None,
) -> int:
    """Add a photo without files and faces; return its row."""
    row = connection.execute(
        "INSERT INTO photos (hash, state, message, reader, width, height) VALUES (?, ?, ?, ?, ?, ?)",
        (digest, state, message, reader, width, height),
    ).lastrowid
    assert row is not None
    return row


def put_shot(
    connection: sqlite3.Connection, photo: int, smallest_face: float | None, taken: str | None, camera: str | None
) -> None:
    """Store how a photo was searched and taken, if anything is known of it."""
    if (smallest_face, taken, camera) != (None, None, None):
        connection.execute(
            "INSERT OR REPLACE INTO shots (photo, smallest_face, taken, camera) VALUES (?, ?, ?, ?)",
            (photo, smallest_face, taken, camera),
        )


def shot_of(connection: sqlite3.Connection, photo: int) -> tuple[float | None, str | None, str | None]:
    """Return the smallest face, the time and the camera of a photo; None for what is not known."""
    row = connection.execute("SELECT smallest_face, taken, camera FROM shots WHERE photo = ?", (photo,)).fetchone()
    return (None, None, None) if row is None else (row[0], row[1], row[2])


def put_moment(connection: sqlite3.Connection, face: int, moment: Moment | None) -> None:
    """Store when a video shows a face; nothing for a face of a photo."""
    if moment is not None:
        connection.execute(
            "INSERT OR REPLACE INTO moments (face, seconds, first, last) VALUES (?, ?, ?, ?)",
            (face, moment.seconds, moment.first, moment.last),
        )


def insert_file(connection: sqlite3.Connection, path: bytes, photo: int, *, size: int, mtime: int, person: str) -> int:
    """Note that a path now holds a photo, in the place of any earlier one; return the row."""
    connection.execute(
        "INSERT INTO files (path, photo, size, mtime, person) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) DO"
        " UPDATE SET photo = excluded.photo, size = excluded.size, mtime = excluded.mtime, person = excluded.person",
        (path, photo, size, mtime, person),
    )
    return int(connection.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()[0])


def insert_person(connection: sqlite3.Connection, name: str) -> int:
    """Add a person; return the row."""
    row = connection.execute("INSERT INTO people (name) VALUES (?)", (name,)).lastrowid
    assert row is not None
    return row


def insert_group(connection: sqlite3.Connection) -> int:
    """Add an empty group without a name; return its row."""
    draft = insert_person(connection, secrets.token_hex(16))
    name = f"unnamed {draft}"
    while person_named(connection, name) is not None:
        name += "*"  # a named person is called so
    connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, draft))
    connection.execute("INSERT INTO clusters (person) VALUES (?)", (draft,))
    return draft


def put_print(connection: sqlite3.Connection, photo: int, bits: bytes) -> None:
    """Store the difference hash of a photo."""
    connection.execute("INSERT OR REPLACE INTO prints (photo, bits) VALUES (?, ?)", (photo, bits))


def put_thumbnail(connection: sqlite3.Connection, face: int, jpeg: bytes) -> None:
    """Store the thumbnail of a face in the place of the one it has."""
    connection.execute("INSERT OR REPLACE INTO thumbnails (face, jpeg) VALUES (?, ?)", (face, jpeg))


def person_named(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the row of the person with a name, as it is stored."""
    row = connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def find_or_add_person(connection: sqlite3.Connection, name: str) -> int:
    """Return the row of the person with a name, added where there is none."""
    found = person_named(connection, name)
    return insert_person(connection, name) if found is None else found


def keys_of_person(connection: sqlite3.Connection, person: int) -> list[int]:
    """Return the keys of a person's faces, ascending."""
    return [row[0] for row in connection.execute("SELECT key FROM faces WHERE person = ? ORDER BY key", (person,))]


def keys_on_photo(connection: sqlite3.Connection, photo: int) -> list[int]:
    """Return the keys of the faces on a photo, ascending."""
    return [row[0] for row in connection.execute("SELECT key FROM faces WHERE photo = ? ORDER BY key", (photo,))]


def photo_and_person(connection: sqlite3.Connection, face: int) -> tuple[int, int | None] | None:
    """Return the photo and the person of a face, None where the face is not there."""
    row = connection.execute("SELECT photo, person FROM faces WHERE key = ?", (face,)).fetchone()
    return None if row is None else (row[0], row[1])


def photo_with(connection: sqlite3.Connection, digest: bytes) -> int | None:
    """Return the row of the photo with a SHA-256."""
    row = connection.execute("SELECT id FROM photos WHERE hash = ?", (digest,)).fetchone()
    return None if row is None else int(row[0])


def has_photo(connection: sqlite3.Connection, photo: int) -> bool:
    """Return whether a photo exists."""
    return connection.execute("SELECT 1 FROM photos WHERE id = ?", (photo,)).fetchone() is not None


def delete_photos(connection: sqlite3.Connection, photos: Iterable[int], *, without: Sequence[str] = ()) -> None:
    """Delete photos, only those without a row in any table of `without`, which have a column `photo`."""
    rules = "".join(f" AND NOT EXISTS (SELECT 1 FROM {table} WHERE photo = photos.id)" for table in without)
    statement = f"DELETE FROM photos WHERE id IN (SELECT value FROM json_each(?)){rules}"
    connection.execute(statement, (json.dumps(list(photos)),))


def paths_of(connection: sqlite3.Connection, photo: int) -> tuple[Path, ...]:
    """Return the paths of a photo, in the order in which they were seen."""
    rows = connection.execute("SELECT path FROM files WHERE photo = ? ORDER BY id", (photo,))
    return tuple(path_of(row[0]) for row in rows)


def is_known_path(connection: sqlite3.Connection, path: Path | bytes) -> bool:
    """Return whether a photo was seen at a path."""
    return connection.execute("SELECT 1 FROM files WHERE path = ?", (os.fsencode(path),)).fetchone() is not None


def remove_empty_people(connection: sqlite3.Connection, people: Iterable[int | None]) -> None:
    """Remove those people who have no face left; people with stale faces stay."""
    connection.execute(
        "DELETE FROM people WHERE id IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM faces WHERE person = people.id)",
        (json.dumps(list({*people} - {None})),),
    )


def remove_all_empty_people(connection: sqlite3.Connection) -> int:
    """Remove all people who have no face left; return how many. This reads all faces."""
    before = connection.execute("SELECT count(*) FROM people").fetchone()[0]
    connection.execute("DELETE FROM people WHERE NOT EXISTS (SELECT 1 FROM faces WHERE person = people.id)")
    return int(before - connection.execute("SELECT count(*) FROM people").fetchone()[0])
