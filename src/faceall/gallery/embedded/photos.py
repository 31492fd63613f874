"""Photos in SQLite: one row per SHA-256, and one per path where that content was seen.

The row of a file whose photo is displaced keeps its path behind a mark, so that another photo can have the path.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from faceall.gallery.embedded import faces, removal
from faceall.gallery.embedded.prints import Lookalikes
from faceall.gallery.embedded.tables import rows, stale_faces
from faceall.gallery.embedded.tables.columns import BEHIND_MARK, MARK, faces_in, marks_of, path_of
from faceall.gallery.records import (
    Analysis,
    KnownPhoto,
    Page,
    PendingFace,
    Removal,
    SeenFile,
    StoredPhoto,
    UpcomingFile,
)
from faceall.images import reader_version
from faceall.index import FaceIndex
from faceall.types import Float32Array

_FACTS = (
    "SELECT p.id, p.state, p.message, p.reader, (SELECT count(*) FROM faces WHERE photo = p.id),"
    " (SELECT count(*) FROM faces WHERE photo = p.id AND is_primary),"
    " (SELECT name FROM people JOIN faces ON person = people.id WHERE photo = p.id AND is_primary),"
    " (SELECT count(*) FROM files WHERE photo = p.id) FROM photos p"
)


class EmbeddedPhotos:
    """`PhotoRecords` in SQLite."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index
        self._lookalikes = Lookalikes()

    def refresh(self) -> None:
        """Prepare for a registration: read again what other processes have registered."""
        self._lookalikes = Lookalikes()

    def read_ahead(self, files: Sequence[UpcomingFile]) -> None:
        """Do nothing: SQLite answers in microseconds."""

    def at(self, path: Path, size: int, mtime: int) -> KnownPhoto | None:
        """Return the photo of a file whose size and time have not changed since it was last seen."""
        where = "JOIN files f ON f.photo = p.id WHERE f.path = ? AND f.size = ? AND f.mtime = ?"
        return self._known(where, (os.fsencode(path), size, mtime))

    def of(self, digest: bytes) -> KnownPhoto | None:
        """Return the photo with a SHA-256."""
        return self._known("WHERE p.hash = ?", (digest,))

    def held_by(self, path: Path) -> KnownPhoto | None:
        """Return the photo that a path held when it was last seen."""
        return self._known("JOIN files f ON f.photo = p.id WHERE f.path = ?", (os.fsencode(path),))

    def _known(self, where: str, values: Sequence[object]) -> KnownPhoto | None:
        with self._index.reading() as connection:
            row = connection.execute(f"{_FACTS} {where}", values).fetchone()
            if row is None:
                return None
            return replace(KnownPhoto(*row), stale=stale_faces.has_photo(connection, row[0]))

    def files(self, photo: int) -> list[SeenFile]:
        """Return the files of a photo, in the order in which they were seen."""
        with self._index.reading() as connection:
            found = connection.execute(
                "SELECT path, size, mtime, person FROM files WHERE photo = ? ORDER BY id", (photo,)
            ).fetchall()
        return [SeenFile(path_of(path), size, mtime, who, path.startswith(MARK)) for path, size, mtime, who in found]

    def put_file(self, photo: int, file: SeenFile) -> None:
        """Note that a path now holds a photo, in the place of any earlier one."""
        with self._index.transaction() as connection:
            path = os.fsencode(file.path)
            rows.insert_file(connection, path, photo, size=file.size, mtime=file.mtime, person=file.person)

    def displace(self, path: Path) -> None:
        """Note that a path does not hold its photo any more, and that no other place of the photo is known."""
        name = os.fsencode(path)
        with self._index.transaction() as connection:
            (row,) = connection.execute("SELECT id FROM files WHERE path = ?", (name,)).fetchone()
            connection.execute("UPDATE files SET path = ? WHERE id = ?", (b"%b%d%b%b" % (MARK, row, MARK, name), row))

    def drop_files(self, photo: int, files: Sequence[SeenFile]) -> None:
        """Remove some of the files of a photo."""
        with self._index.transaction() as connection:
            found = connection.execute("SELECT id, path FROM files WHERE photo = ?", (photo,)).fetchall()
            gone = {(file.path, file.displaced) for file in files}
            connection.executemany(
                "DELETE FROM files WHERE id = ?",
                [(row[0],) for row in found if (path_of(row[1]), row[1].startswith(MARK)) in gone],
            )

    def add(self, digest: bytes, analysis: Analysis) -> int:
        """Add a photo without faces; it replaces an unreadable one of the same content. Return its row."""
        with self._index.transaction() as connection:
            connection.execute("DELETE FROM photos WHERE hash = ?", (digest,))
            photo = rows.insert_photo(
                connection,
                digest,
                state=analysis.state,
                message=analysis.message,
                reader=reader_version(),
                width=analysis.width,
                height=analysis.height,
            )
            rows.put_shot(connection, photo, analysis.smallest_face, analysis.taken, analysis.camera)
            return photo

    def add_faces(self, photo: int, analysis: Analysis, person: str | None) -> None:
        """Store the faces of a new photo; the primary one is assigned to `person`, the others are unassigned."""
        with self._index.transaction() as connection:
            keys = self._index.add(analysis.vectors).tolist()
            owner = None if person is None else rows.find_or_add_person(connection, person)
            for number, (key, face) in enumerate(zip(keys, analysis.faces, strict=True)):
                primary, box = number == analysis.primary, face.box.tolist()
                who, jpeg = owner if primary else None, analysis.thumbnails[number]
                row = rows.FaceRow(key, photo, who, primary, box, face.score, marks_of(face), jpeg)
                rows.insert_face(connection, row)
                rows.put_moment(connection, key, analysis.moments[number] if analysis.moments else None)

    def lookalike(self, photo: int, analysis: Analysis) -> int | None:
        """Store the difference hash of a new photo; return a near duplicate of it, None if there is none."""
        if analysis.print is None:
            return None
        with self._index.transaction() as connection:
            return self._lookalikes.take(connection, photo, analysis.print)

    def assign_primary(self, photo: int, person: str) -> None:
        """Assign the primary face of a photo to a person, who is added if new."""
        with self._index.transaction() as connection:
            owner = rows.find_or_add_person(connection, person)
            where = "WHERE photo = ? AND is_primary"
            before = [row[0] for row in connection.execute(f"SELECT person FROM faces {where}", (photo,))]
            connection.execute(f"UPDATE faces SET person = ? {where}", (owner, photo))
            rows.remove_empty_people(connection, before)

    def displaced(self) -> list[int]:
        """Return the photos that are displaced."""
        with self._index.reading() as connection:
            found = connection.execute("SELECT DISTINCT photo FROM files WHERE path < ?", (BEHIND_MARK,)).fetchall()
        return [row[0] for row in found]

    def ids(self) -> list[int]:
        """Return all photos, also those without a face, in order."""
        with self._index.reading() as connection:
            return [row[0] for row in connection.execute("SELECT id FROM photos ORDER BY id")]

    def below(self, path: Path) -> list[int]:
        """Return the photos that were seen at a path or below it."""
        exact, below = os.fsencode(path), os.fsencode(path / "x")[:-1]
        with self._index.reading() as connection:
            found = connection.execute(
                "SELECT DISTINCT photo FROM files WHERE path = ? OR substr(path, 1, ?) = ?", (exact, len(below), below)
            ).fetchall()
        return [row[0] for row in found]

    def below_each(self, paths: Sequence[Path]) -> list[list[int]]:
        """Return for each path the photos that were seen at it or below it."""
        return [self.below(path) for path in paths]

    def remove(self, photos: Sequence[int]) -> Removal:
        """Remove photos with their faces permanently."""
        return removal.delete_photos(self._index, photos)

    def pending(self, digest: bytes) -> list[PendingFace]:
        """Return the stale faces of the photo with a SHA-256."""
        with self._index.reading() as connection:
            found = stale_faces.on_photo_with(connection, digest)
        faces = faces_in([one.place for one in found])
        return [PendingFace(one.id, face) for one, face in zip(found, faces, strict=True)]

    def restore(self, ids: Sequence[int], vectors: Float32Array) -> int:
        """Turn stale faces into ordinary ones with new vectors; return how many."""
        return stale_faces.restore(self._index, ids, vectors)

    def stored(self, photos: Iterable[int]) -> list[StoredPhoto]:
        """Return the photos with some ids, ordered by id; unknown ids are left out."""
        with self._index.reading() as connection:
            found = (_stored(connection, photo) for photo in sorted(set(photos)))
            return [photo for photo in found if photo is not None]

    def digest(self, photo: int) -> bytes:
        """Return the SHA-256 of a photo that exists."""
        with self._index.reading() as connection:
            return bytes(connection.execute("SELECT hash FROM photos WHERE id = ?", (photo,)).fetchone()[0])

    def taken(self) -> dict[int, str]:
        """Return when photos were taken, as the camera noted it, by row; unknown ones are left out."""
        with self._index.reading() as connection:
            return dict(connection.execute("SELECT photo, taken FROM shots WHERE taken NOTNULL").fetchall())

    def absent_boxes(self, photo: int) -> list[tuple[float, ...]]:
        """Return the boxes of the faces of a photo that are in the bin or stale."""
        boxes = "SELECT x0, y0, x1, y1 FROM {} WHERE photo = ?1"
        with self._index.reading() as connection:
            found = connection.execute(
                f"{boxes.format('bin_faces')} UNION ALL {boxes.format('stale_faces')}", (photo,)
            ).fetchall()
        return [tuple(row) for row in found]

    def page(self, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
        """Return one page of the photos with a face, ordered by id, optionally only those of a person."""
        where, values = ("", []) if person is None else ("WHERE person = ?", [person])
        with self._index.reading() as connection:
            (total,) = connection.execute(f"SELECT count(DISTINCT photo) FROM faces {where}", values).fetchone()
            chosen = connection.execute(
                f"SELECT DISTINCT photo FROM faces {where} ORDER BY photo LIMIT ? OFFSET ?", (*values, limit, offset)
            ).fetchall()
            return Page(tuple(self.stored(row[0] for row in chosen)), total)


def _stored(connection: sqlite3.Connection, photo: int) -> StoredPhoto | None:
    row = connection.execute("SELECT width, height FROM photos WHERE id = ?", (photo,)).fetchone()
    if row is None:
        return None
    shown = faces.select_faces(connection, "WHERE faces.photo = ? ORDER BY key", (photo,))
    width, height = row
    return StoredPhoto(
        photo, rows.paths_of(connection, photo), width, height, tuple(shown), *rows.shot_of(connection, photo)
    )
