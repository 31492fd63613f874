"""Things taken out of the gallery for good, with a note of what went."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from faceall.errors import UnknownFaceError
from faceall.gallery import aside
from faceall.gallery.browse import one_photo, paths_of
from faceall.gallery.people import find_person, unknown_face
from faceall.gallery.photos import forget_faces, forget_photos
from faceall.index import FaceIndex
from faceall.index.receipt import Receipt

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Removal:
    """What was removed.

    faces   the ids of the faces whose rows, vectors and thumbnails are gone
    photos  the ids of the photos that are forgotten, as they show no other face
    paths   the files that held those photos; they are left as they are, but for uploads, which the gallery keeps
    aside   how many faces more were waiting for their photo since the model was changed
    receipt  what was left of them on the disk afterwards; None before that was looked at
    """

    faces: tuple[int, ...]
    photos: tuple[int, ...]
    paths: tuple[Path, ...]
    aside: int = 0
    receipt: Receipt | None = field(default=None, compare=False)

    @property
    def count(self) -> int:
        """How many faces went, those aside too."""
        return len(self.faces) + self.aside


def delete_person(index: FaceIndex, person: int | str) -> Removal:
    """Remove a person, given by id or name, with every face that is filed under them. Raises UnknownPersonError."""
    with index.transaction() as connection:
        row = find_person(connection, person)
        faces = [found[0] for found in connection.execute("SELECT key FROM faces WHERE person = ?", (row,))]
        waiting = aside.forget_person(connection, row)
        return _delete_faces(index, connection, faces, waiting)


def delete_faces(index: FaceIndex, faces: Iterable[int]) -> Removal:
    """Remove faces, all or none; photos too that show no other. Raises UnknownFaceError."""
    chosen = list(dict.fromkeys(faces))
    with index.transaction() as connection:
        for face in chosen:
            if face not in index:
                raise unknown_face(index, face)
        return _delete_faces(index, connection, chosen)


def delete_photo(index: FaceIndex, photo_id: int) -> Removal:
    """Remove a photo with every face on it. Raises UnknownFaceError."""
    with index.transaction() as connection:
        one_photo(connection, photo_id)
        return _delete_photos(index, connection, [photo_id])


def delete_photos_at(index: FaceIndex, path: Path) -> Removal:
    """Remove the photo that a path held, or every photo below a folder. Raises UnknownFaceError."""
    exact, below = os.fsencode(path), os.fsencode(path / "x")[:-1]
    with index.transaction() as connection:
        rows = connection.execute(
            "SELECT DISTINCT photo FROM files WHERE path = ? OR substr(path, 1, ?) = ?", (exact, len(below), below)
        ).fetchall()
        if not rows:
            raise UnknownFaceError(f"{path}: no photo of the gallery {index.name} was seen there")
        return _delete_photos(index, connection, [row[0] for row in rows])


def remove_uploads(folder: Path, paths: Iterable[Path]) -> None:
    """Remove the files of photos that were uploaded into the gallery's own folder, `uploads/SHA-256/NAME`."""
    uploads = folder / "uploads"
    for path in paths:
        if uploads in path.parents and _DIGEST.fullmatch(path.relative_to(uploads).parts[0]):
            path.unlink(missing_ok=True)
            for above in path.relative_to(uploads).parents[:-1]:
                with contextlib.suppress(OSError):  # it holds others
                    (uploads / above).rmdir()


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
        photos = (connection.execute("SELECT count(*) FROM photos WHERE id = ?", (id_,)) for id_ in removal.photos)
        return int(left + sum(row.fetchone()[0] for row in photos))


def _delete_photos(index: FaceIndex, connection: sqlite3.Connection, photos: list[int]) -> Removal:
    """Remove photos inside a transaction."""
    faces = [row for photo in photos for row in connection.execute("SELECT key FROM faces WHERE photo = ?", (photo,))]
    waiting = sum(len(aside.waiting(connection, photo)) for photo in photos) if aside.is_there(connection) else 0
    paths = tuple(path for photo in photos for path in paths_of(connection, photo))
    forget_photos(index, photos)
    return Removal(tuple(row[0] for row in faces), tuple(photos), paths, waiting)


def _delete_faces(index: FaceIndex, connection: sqlite3.Connection, faces: list[int], waiting: int = 0) -> Removal:
    """Remove faces inside a transaction, and note which photos went with them."""
    photos = {
        row[0]: paths_of(connection, row[0])
        for face in faces
        for row in connection.execute("SELECT photo FROM faces WHERE key = ?", (face,)).fetchall()
    }
    forget_faces(index, faces)
    gone = [id_ for id_ in photos if not _is_there(connection, id_)]
    return Removal(tuple(faces), tuple(gone), tuple(path for id_ in gone for path in photos[id_]), waiting)


def _is_there(connection: sqlite3.Connection, photo: int) -> bool:
    try:
        one_photo(connection, photo)
    except UnknownFaceError:
        return False
    return True
