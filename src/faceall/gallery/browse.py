"""What is in the gallery, page by page and by its ids: for programs that show it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from faceall.errors import FaceallError, UnknownFaceError
from faceall.gallery.clusters import has_clusters
from faceall.gallery.people import Person, StoredFace, find_person, read_people
from faceall.gallery.photos import unmarked
from faceall.gallery.search import select_faces

Item = TypeVar("Item")

LARGEST_ID = (1 << 63) - 1
"""The largest id that a row can have."""


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of a list, and how long the whole is."""

    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True)
class StoredPhoto:
    """One photo of the gallery: a content, wherever it was seen.

    photo_id       its row
    paths          the files that held it when they were last seen, the first one first; they may have gone since
    width, height  in pixels, upright; None where that is not known
    faces          those that are stored, by their ids
    """

    photo_id: int
    paths: tuple[Path, ...]
    width: int | None
    height: int | None
    faces: tuple[StoredFace, ...]


def page_of_people(
    connection: sqlite3.Connection, *, text: str | None, named: bool | None, limit: int, offset: int
) -> Page[Person]:
    """People by name; `text` is looked for in their names, in capitals or not."""
    _check_page(limit, offset)
    unnamed = "id IN (SELECT person FROM clusters)" if has_clusters(connection) else "0"
    where = "" if named is None else f" WHERE NOT {unnamed}" if named else f" WHERE {unnamed}"
    statement = f"SELECT id, name FROM people{where} ORDER BY name COLLATE NOCASE, name"
    if text:
        wanted = text.casefold()  # SQLite folds the letters of English only
        found = [row[0] for row in connection.execute(statement) if wanted in row[1].casefold()]
        rows, total = found[offset : offset + limit], len(found)
    else:
        rows = [row[0] for row in connection.execute(f"{statement} LIMIT ? OFFSET ?", (limit, offset))]
        (total,) = connection.execute(f"SELECT count(*) FROM people{where}").fetchone()
    return Page(tuple(read_people(connection, rows, clusters=has_clusters(connection))), total)


def one_person(connection: sqlite3.Connection, person_id: int) -> Person:
    """The person of a row. Raises UnknownPersonError."""
    row = find_person(connection, person_id)
    return read_people(connection, [row], clusters=has_clusters(connection))[0]


def page_of_faces(
    connection: sqlite3.Connection, *, person: int | None, photo: int | None, nobody: bool, limit: int, offset: int
) -> Page[StoredFace]:
    """Faces by their ids; of a person, on a photo, or of nobody, where that is asked for."""
    _check_page(limit, offset)
    rules = ["faces.person IS NULL"] if nobody else []
    values: list[int] = []
    for column, value in (("person", person), ("photo", photo)):
        if value is not None:
            rules.append(f"faces.{column} = ?")
            values.append(checked_id(value, column))
    where = f"WHERE {' AND '.join(rules)}" if rules else ""
    (total,) = connection.execute(f"SELECT count(*) FROM faces {where}", values).fetchone()
    found = select_faces(connection, f"{where} ORDER BY key LIMIT ? OFFSET ?", (*values, limit, offset))
    return Page(tuple(found), total)


def page_of_photos(connection: sqlite3.Connection, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
    """Photos that show a face, by their ids; those of a person, where that is asked for."""
    _check_page(limit, offset)
    where, values = "", []
    if person is not None:
        where, values = "WHERE person = ?", [checked_id(person, "person")]
    (total,) = connection.execute(f"SELECT count(DISTINCT photo) FROM faces {where}", values).fetchone()
    rows = connection.execute(
        f"SELECT DISTINCT photo FROM faces {where} ORDER BY photo LIMIT ? OFFSET ?", (*values, limit, offset)
    ).fetchall()
    return Page(tuple(one_photo(connection, row[0]) for row in rows), total)


def one_photo(connection: sqlite3.Connection, photo_id: int) -> StoredPhoto:
    """The photo of a row. Raises UnknownFaceError."""
    row = connection.execute(
        "SELECT width, height FROM photos WHERE id = ?", (checked_id(photo_id, "photo"),)
    ).fetchone()
    if row is None:
        raise UnknownFaceError(f"the gallery has no photo {photo_id}")
    faces = select_faces(connection, "WHERE faces.photo = ? ORDER BY key", (photo_id,))
    width, height = row
    return StoredPhoto(photo_id, paths_of(connection, photo_id), width, height, tuple(faces))


def photo_seen_at(connection: sqlite3.Connection, path: Path) -> StoredPhoto | None:
    """The photo that a path held when it was last seen; None where none was seen there."""
    row = connection.execute("SELECT photo FROM files WHERE path = ?", (os.fsencode(path),)).fetchone()
    return None if row is None else one_photo(connection, row[0])


def photo_with(connection: sqlite3.Connection, digest: bytes) -> StoredPhoto | None:
    """The photo whose file has this SHA-256; None where there is none."""
    row = connection.execute("SELECT id FROM photos WHERE hash = ?", (digest,)).fetchone()
    return None if row is None else one_photo(connection, row[0])


def paths_of(connection: sqlite3.Connection, photo_id: int) -> tuple[Path, ...]:
    """Where a photo was seen, the first place first."""
    rows = connection.execute("SELECT path FROM files WHERE photo = ? ORDER BY id", (photo_id,))
    return tuple(Path(os.fsdecode(unmarked(row[0]))) for row in rows)


def paths_of_photos(connection: sqlite3.Connection, photo_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
    """The same for several photos; those that are not there have none."""
    return {photo: paths_of(connection, checked_id(photo, "photo")) for photo in set(photo_ids)}


def checked_id(number: int, what: str) -> int:
    """A number that a row can have. Raises UnknownFaceError for one that no row has."""
    if not 0 <= number <= LARGEST_ID:
        raise UnknownFaceError(f"the gallery has no {what} {number}")
    return number


def _check_page(limit: int, offset: int) -> None:
    for name, value in (("limit", limit), ("offset", offset)):
        if not 0 <= value <= LARGEST_ID:
            raise FaceallError(f"{name} is {value}, expected a whole number from 0")
