"""Who is in the gallery, and the changes that a person makes by hand."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from faceall.errors import FaceallError, NameTakenError, UnknownFaceError, UnknownPersonError
from faceall.gallery import aside
from faceall.gallery.bundle_ids import pass_on_ids
from faceall.gallery.naming import LONGEST_NAME, is_control, tidy_name
from faceall.gallery.photos import forget_nobodies, person_id
from faceall.index import FaceIndex

_SUGGESTIONS = 3


@dataclass(frozen=True)
class Person:
    """A person and how many faces and photos of them there are; `named` is False for a cluster of unknown faces.

    id     their row, which stays when they are renamed
    cover  the face that shows them best: the chief one of its photo, the larger the better
    """

    name: str
    faces: int
    photos: int
    named: bool = True
    id: int = field(default=0, compare=False)
    cover: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class StoredFace:
    """One face of the gallery.

    face_id  its key
    person   whom it is filed under, None for nobody
    path     a file that shows it, as last seen
    box      x0 y0 x1 y1 in pixels
    photo_id, person_id  the rows of its photo and person
    named    False where the person is a cluster of unknown faces
    chief    whether it is the one that its photo is of
    landmarks  x y of left eye, right eye, nose, left and right corner of the mouth, in pixels
    """

    face_id: int
    person: str | None
    path: Path
    box: tuple[float, float, float, float]
    score: float
    photo_id: int = 0
    person_id: int | None = None
    named: bool = True
    chief: bool = False
    landmarks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class GalleryStatus:
    """What a gallery holds.

    folder     where it lies
    faces, people, photos, files   how many; a photo is a content, which several files may hold
    unnamed    faces that are filed under nobody
    without_face, unreadable, too_large   photos of that kind
    vanished   files that are not where they were seen; their faces are kept
    model      the embedder, None before the first face
    dimension  numbers per vector
    size       bytes on the disk
    """

    folder: Path
    faces: int
    people: int
    photos: int
    files: int
    unnamed: int
    without_face: int
    unreadable: int
    too_large: int
    vanished: int
    model: str | None
    dimension: int | None
    size: int


def list_people(connection: sqlite3.Connection, *, unnamed: Container[str] = ()) -> list[Person]:
    """Everybody, by name; `unnamed` are the names of clusters."""
    rows = connection.execute(
        "SELECT name, count(faces.key), count(DISTINCT photo), people.id FROM people"
        " LEFT JOIN faces ON person = people.id GROUP BY people.id ORDER BY name COLLATE NOCASE, name"
    )
    return [Person(name, faces, photos, name not in unnamed, row) for name, faces, photos, row in rows]


def read_people(connection: sqlite3.Connection, rows: Iterable[int], *, clusters: bool) -> list[Person]:
    """The people of some rows, in that order, with their covers; `clusters`: whether there is that table."""
    unnamed = "EXISTS (SELECT 1 FROM clusters WHERE person = people.id)" if clusters else "0"
    statement = (
        f"SELECT name, count(key), count(DISTINCT photo), NOT {unnamed}, people.id, (SELECT key FROM faces WHERE"
        " person = people.id ORDER BY chief DESC, (x1 - x0) * (y1 - y0) DESC, key LIMIT 1)"
        " FROM people LEFT JOIN faces ON person = people.id WHERE people.id = ? GROUP BY people.id"
    )
    found = (connection.execute(statement, (row,)).fetchone() for row in rows)
    return [Person(name, faces, photos, bool(named), row, cover) for name, faces, photos, named, row, cover in found]


def rename_person(index: FaceIndex, old: str | int, new: str) -> None:
    """Give a person another name, which nobody else has."""
    name = checked_name(new)
    with index.transaction() as connection:
        person = find_person(connection, old)
        if _row_of(connection, name) not in (None, person):
            raise NameTakenError(f"there is a person called {name!r} already: merge {old!r} into {name!r} instead")
        connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, person))


def merge_people(index: FaceIndex, old: str | int, into: str | int) -> int:
    """File every face of one person under another who exists; returns how many faces that were."""
    with index.transaction() as connection:
        source, target = find_person(connection, old), find_person(connection, into)
        if source == target:
            raise FaceallError(f"{old!r} cannot be merged with itself")
        moved = connection.execute("UPDATE faces SET person = ? WHERE person = ?", (target, source)).rowcount
        pass_on_ids(connection, source, target)
        aside.merge_people(connection, source, target)
        forget_nobodies(connection)
    return moved


def name_face(index: FaceIndex, face_id: int, person: str) -> None:
    """File one face under a person, who is made if there is none of that name."""
    name = checked_name(person)
    with index.transaction() as connection:
        if face_id not in index:
            raise unknown_face(index, face_id)
        changed = connection.execute(
            "UPDATE faces SET person = ? WHERE key = ?", (person_id(connection, name), face_id)
        ).rowcount
        if not changed:
            raise unknown_face(index, face_id)
        forget_nobodies(connection)


def find_person(connection: sqlite3.Connection, name: str | int) -> int:
    """The row of a person, given by name or id, who has to be there; the error suggests names that are alike."""
    if isinstance(name, int):
        return _checked_row(connection, name)
    found = _row_of(connection, name)
    if found is None:
        import difflib

        names = [row[0] for row in connection.execute("SELECT name FROM people ORDER BY name")]
        alike = difflib.get_close_matches(name, names, _SUGGESTIONS)
        hint = f"did you mean {' or '.join(map(repr, alike))}?" if alike else f"there are {len(names)} people in it"
        raise UnknownPersonError(f"nobody in the gallery is called {name!r}; {hint}")
    return found


def _checked_row(connection: sqlite3.Connection, row: int) -> int:
    inside = -(1 << 63) <= row < 1 << 63
    if not inside or not connection.execute("SELECT 1 FROM people WHERE id = ?", (row,)).fetchone():
        raise UnknownPersonError(f"nobody in the gallery has the id {row}")
    return row


def checked_name(name: str) -> str:
    """A person's name without white space around it, composed (NFC) as all names are.

    Raises FaceallError for one that is empty, too long, or holds a line break or another control character.
    """
    tidy = tidy_name(name)
    if not tidy:
        raise FaceallError("a person's name cannot be empty")
    if len(tidy) > LONGEST_NAME:
        raise FaceallError(
            f"a person's name has at most {LONGEST_NAME} characters, {tidy[:20] + '...'!r} has {len(tidy):,}"
        )
    if any(map(is_control, tidy)):
        raise FaceallError(f"a person's name is one line without control characters; {tidy[:40]!r} is not")
    return tidy


def unknown_face(index: FaceIndex, face_id: int) -> UnknownFaceError:
    """The error for a face that is not there."""
    return UnknownFaceError(f"the gallery {index.name} has no face {face_id}")


def read_status(index: FaceIndex, folder: Path) -> GalleryStatus:
    """Count everything; looks at the disk for files that have gone."""
    with index.reading() as connection:

        def count(statement: str) -> int:
            return int(connection.execute(f"SELECT count(*) FROM {statement}").fetchone()[0])

        paths = [row[0] for row in connection.execute("SELECT path FROM files")]
        vanished = sum(not os.path.exists(path) for path in paths)
        counted = {
            "faces": count("faces"),
            "people": count("people"),
            "photos": count("photos"),
            "unnamed": count("faces WHERE person IS NULL"),
            "without_face": count("photos WHERE state = 'ok' AND id NOT IN (SELECT photo FROM faces)"),
            "unreadable": count("photos WHERE state = 'unreadable'"),
            "too_large": count("photos WHERE state = 'too-large'"),
        }
    return GalleryStatus(
        folder=folder,
        files=len(paths),
        vanished=vanished,
        model=index.model,
        dimension=index.dimension,
        size=sum(file.stat().st_size for file in folder.glob("faces.*")),
        **counted,
    )


def _row_of(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT id FROM people WHERE name = ?", (tidy_name(name),)).fetchone()
    return row[0] if row else None
