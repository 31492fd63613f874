"""Rows that go for good: faces with vectors and thumbnails, photos, and people who are left without a face."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from faceall.gallery.embedded import people
from faceall.gallery.embedded import stale_faces as aside
from faceall.gallery.embedded.columns import path_of
from faceall.gallery.records import Removal
from faceall.index import FaceIndex


def delete_person(index: FaceIndex, person: int) -> Removal:
    """Remove a person, by the row, with every face that is filed under them."""
    with index.transaction() as connection:
        faces = people.keys_of(connection, person)
        waiting = aside.forget_person(connection, person)
        return delete_faces(index, faces, waiting)


def delete_photos(index: FaceIndex, photos: Sequence[int]) -> Removal:
    """Remove photos with every face on them."""
    with index.transaction() as connection:
        faces = [key for photo in photos for key in _keys_on(connection, photo)]
        waiting = sum(len(aside.waiting(connection, photo)) for photo in photos) if aside.is_there(connection) else 0
        paths = tuple(path for photo in photos for path in paths_of(connection, photo))
        forget_photos(index, photos)
    return Removal(tuple(faces), tuple(photos), paths, waiting)


def delete_faces(index: FaceIndex, faces: Sequence[int], waiting: int = 0) -> Removal:
    """Remove faces, and note which photos went with them; `waiting`: how many went that were aside."""
    with index.transaction() as connection:
        shown = {photo for face in faces for photo in _photo_of(connection, face)}
        photos = {photo: paths_of(connection, photo) for photo in shown}
        forget_faces(index, faces)
        gone = [photo for photo in photos if not _is_there(connection, photo)]
    return Removal(tuple(faces), tuple(gone), tuple(path for photo in gone for path in photos[photo]), waiting)


def remaining(index: FaceIndex, removal: Removal) -> int:
    """How many of the removed faces and photos can still be found in any table: 0 when all are gone."""
    with index.reading() as connection:
        left = sum(
            connection.execute(statement, (face,)).fetchone()[0]
            for face in removal.faces
            for statement in (
                "SELECT count(*) FROM vectors WHERE key = ?",
                "SELECT count(*) FROM faces WHERE key = ?",
                "SELECT count(*) FROM thumbnails WHERE face = ?",
            )
        )
        return int(left + sum(_is_there(connection, photo) for photo in removal.photos))


def forget_photos(index: FaceIndex, photos: Sequence[int]) -> None:
    """Remove photos with their faces, vectors and thumbnails."""
    with index.transaction() as connection:
        keys = [key for photo in photos for key in _keys_on(connection, photo)]
        index.remove(keys)  # takes the faces and thumbnails along
        connection.executemany("DELETE FROM photos WHERE id = ?", [(photo,) for photo in photos])
        people.forget_nobodies(connection)


def forget_faces(index: FaceIndex, keys: Sequence[int]) -> None:
    """Remove faces with their vectors and thumbnails, and photos that are left without any."""
    with index.transaction() as connection:
        photos = {photo for key in keys for photo in _photo_of(connection, key)}
        index.remove(list(keys))
        for photo in photos:
            connection.execute(
                "DELETE FROM photos WHERE id = ? AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = ?)", (photo, photo)
            )
        people.forget_nobodies(connection)


def paths_of(connection: sqlite3.Connection, photo: int) -> tuple[Path, ...]:
    """Where a photo was seen, the first place first."""
    rows = connection.execute("SELECT path FROM files WHERE photo = ? ORDER BY id", (photo,))
    return tuple(path_of(row[0]) for row in rows)


def _keys_on(connection: sqlite3.Connection, photo: int) -> list[int]:
    return [row[0] for row in connection.execute("SELECT key FROM faces WHERE photo = ?", (photo,))]


def _photo_of(connection: sqlite3.Connection, face: int) -> list[int]:
    return [row[0] for row in connection.execute("SELECT photo FROM faces WHERE key = ?", (face,))]


def _is_there(connection: sqlite3.Connection, photo: int) -> bool:
    return connection.execute("SELECT 1 FROM photos WHERE id = ?", (photo,)).fetchone() is not None
