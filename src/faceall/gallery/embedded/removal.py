"""Remove faces with their vectors and thumbnails, photos, and people who have no face left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceall.gallery.embedded.tables import rows, stale_faces
from faceall.gallery.embedded.tables.traces import forget_erased
from faceall.gallery.records import Removal
from faceall.index import FaceIndex


def delete_person(index: FaceIndex, person: int) -> Removal:
    """Remove a person with all of their faces; return what was removed."""
    with index.transaction() as connection:
        faces = rows.keys_of_person(connection, person)
        stale = stale_faces.remove_person(connection, person)
        removal = delete_faces(index, faces, stale)
        forget_erased(connection, faces, [person])
        return removal


def delete_photos(index: FaceIndex, photos: Sequence[int]) -> Removal:
    """Remove photos with all of their faces; return what was removed."""
    with index.transaction() as connection:
        faces = [key for photo in photos for key in rows.keys_on_photo(connection, photo)]
        stale = sum(len(stale_faces.on_photo(connection, photo)) for photo in photos)
        paths = tuple(path for photo in photos for path in rows.paths_of(connection, photo))
        people = {one[1] for key in faces if (one := rows.photo_and_person(connection, key)) is not None}
        forget_photos(index, photos)
        forget_erased(connection, faces, people)
    return Removal(tuple(faces), tuple(photos), paths, stale)


def delete_faces(index: FaceIndex, faces: Sequence[int], stale: int = 0) -> Removal:
    """Remove faces, and photos without another face; return what was removed, with `stale` stale faces."""
    with index.transaction() as connection:
        found = (rows.photo_and_person(connection, face) for face in faces)
        there = [one for one in found if one is not None]
        photos = {photo: rows.paths_of(connection, photo) for photo, _ in there}
        forget_faces(index, faces)
        forget_erased(connection, faces, {person for _, person in there})
        gone = [photo for photo in photos if not rows.has_photo(connection, photo)]
    paths: tuple[Path, ...] = tuple(path for photo in gone for path in photos[photo])
    return Removal(tuple(faces), tuple(gone), paths, stale)


def remaining(index: FaceIndex, removal: Removal) -> int:
    """Count the rows that removed faces and photos still have; 0 when all are gone."""
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
        return int(left + sum(rows.has_photo(connection, photo) for photo in removal.photos))


def forget_photos(index: FaceIndex, photos: Sequence[int]) -> None:
    """Remove photos with their faces, vectors and thumbnails."""
    with index.transaction() as connection:
        keys = [key for photo in photos for key in rows.keys_on_photo(connection, photo)]
        people = {rows.photo_and_person(connection, key) for key in keys}
        index.remove(keys)  # cascades to faces and thumbnails
        rows.delete_photos(connection, photos)
        rows.remove_empty_people(connection, [one[1] for one in people if one is not None])


def forget_faces(index: FaceIndex, keys: Sequence[int]) -> None:
    """Remove faces with their vectors and thumbnails, and photos that have no other face."""
    with index.transaction() as connection:
        found = {one for key in keys if (one := rows.photo_and_person(connection, key)) is not None}
        index.remove(list(keys))
        rows.delete_photos(connection, {photo for photo, _ in found}, without=("faces", "bin_faces"))
        rows.remove_empty_people(connection, [person for _, person in found])
