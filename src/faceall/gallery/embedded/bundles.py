"""The records of a gallery in SQLite for bundles: read as one snapshot, and merged by their ids."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from faceall.errors import IndexFileError
from faceall.gallery.embedded.details import details_of_people, put_details
from faceall.gallery.embedded.journal import EmbeddedJournal
from faceall.gallery.embedded.tables import ids, judgements, rows
from faceall.gallery.embedded.tables.columns import unmarked
from faceall.gallery.records.bundles import BundleDetails, BundleFace, BundlePerson, BundlePhoto, known_taken
from faceall.gallery.records.corrections import Corrections
from faceall.gallery.records.faces import Moment
from faceall.gallery.store import StoredChange
from faceall.index import FaceIndex
from faceall.types import Float32Array
from faceall.version import __version__

_FACES = (
    "SELECT faces.key, i.id, p.id, is_primary,"
    " (SELECT path FROM files WHERE photo = photos.id ORDER BY id LIMIT 1), hash, width, height, x0, y0, x1, y1,"
    " landmarks, score, i.created, i.changed, i.id IN (SELECT face FROM hidden_faces), taken, camera, seconds, first,"
    " last, faces.person"
    " FROM faces JOIN face_ids i ON i.face = faces.key JOIN photos ON photos.id = faces.photo"
    " LEFT JOIN person_ids p ON p.person = faces.person LEFT JOIN shots ON shots.photo = photos.id"
    " LEFT JOIN moments ON moments.face = faces.key ORDER BY i.id"
)
_PEOPLE = (
    "SELECT i.id, name, created, changed, p.id IN (SELECT person FROM clusters)"
    " FROM person_ids i JOIN people p ON p.id = i.person"
)


class EmbeddedSnapshot:
    """`GallerySnapshot` of SQLite."""

    def __init__(
        self, connection: sqlite3.Connection, found: list[Any], dimension: int, history: Iterable[dict[str, Any]] | None
    ) -> None:
        self._connection, self._rows = connection, found
        self.faces = tuple(_face(row) for row in found)
        wanted = {face.person for face in self.faces}
        noted = details_of_people(connection)
        people = (
            BundlePerson(identity, name, created, changed, noted.get(identity), bool(unnamed))
            for identity, name, created, changed, unnamed in connection.execute(_PEOPLE)
            if identity in wanted
        )
        self.people = tuple(sorted(people, key=lambda person: person.id))
        said = Corrections(tuple(judgements.exported(connection)), tuple(history or ()))
        ids_here = {face.id for face in self.faces} | {person.id for person in self.people}
        self.corrections = said.limited(ids_here) if history is None else said
        self.vectors = _vectors(connection, [row[0] for row in found], dimension)

    def thumbnail(self, number: int) -> bytes:
        """Return the thumbnail of a face, by its position in `faces`, as a JPEG.

        Raises
        ------
        IndexFileError
            If the face has no thumbnail.
        """
        key = self._rows[number][0]
        row = self._connection.execute("SELECT jpeg FROM thumbnails WHERE face = ?", (key,)).fetchone()
        if row is None:
            raise IndexFileError(f"face {key} has lost its thumbnail: run faceall index repair")
        return bytes(row[0])

    def path(self, number: int) -> str:
        """Return the path at which the photo of a face was last seen."""
        return os.fsdecode(unmarked(self._rows[number][4] or b"")).encode("utf-8", "replace").decode()


class EmbeddedBundles:
    """`BundleRecords` in SQLite."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    @contextmanager
    def snapshot(self, people: Collection[int] | None = None) -> Iterator[EmbeddedSnapshot]:
        """Read all faces, or those of some people, from one snapshot."""
        with self._index.reading() as connection:
            found = [row for row in connection.execute(_FACES) if people is None or row[-1] in people]
            history = EmbeddedJournal(self._index).exported() if people is None else None
            yield EmbeddedSnapshot(connection, found, self._index.dimension or 1, history)

    def person(self, identity: str) -> int | None:
        """Return the row of the person with an id."""
        return ids.person_by_id(self._index.connection, identity)

    def add_person(self, name: str, identity: str, created: str, changed: str) -> int:
        """Add a person with an id; return the row."""
        with self._index.transaction() as connection:
            row = rows.insert_person(connection, name)
            ids.set_id(connection, "person_ids", row, (identity, created, changed))
        return row

    def add_group(self, identity: str, created: str, changed: str) -> int:
        """Add a group without a name, with an id; return the row."""
        with self._index.transaction() as connection:
            row = rows.insert_group(connection)
            ids.set_id(connection, "person_ids", row, (identity, created, changed))
        return row

    def link_person(self, identity: str, row: int) -> None:
        """Add an alias for the id of a person."""
        with self._index.transaction() as connection:
            ids.remember_person(connection, identity, row)

    def person_change(self, row: int) -> tuple[str, str]:
        """Return the name of a person and when it was last changed."""
        statement = "SELECT name, changed FROM people JOIN person_ids ON person = people.id WHERE people.id = ?"
        name, changed = self._index.connection.execute(statement, (row,)).fetchone()
        return name, changed

    def rename_person(self, row: int, name: str, changed: str) -> None:
        """Rename a person, with the time of the change."""
        with self._index.transaction() as connection:
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (name, row))
            connection.execute("UPDATE person_ids SET changed = ? WHERE person = ?", (changed, row))

    def details(self, row: int) -> BundleDetails | None:
        """Return the details of a person, None if there are none."""
        return next(iter(details_of_people(self._index.connection, row).values()), None)

    def put_details(self, row: int, details: BundleDetails) -> None:
        """Store the details of a person, with the time of the change."""
        with self._index.transaction() as connection:
            put_details(connection, row, details)

    def face(self, identity: str) -> int | None:
        """Return the key of the face with an id."""
        return ids.face_by_id(self._index.connection, identity)

    def twin(self, digest: bytes, vector: bytes) -> int | None:
        """Return the key of a face with the same vector on the photo with a SHA-256."""
        row = self._index.connection.execute(
            "SELECT faces.key FROM photos JOIN faces ON faces.photo = photos.id JOIN vectors ON vectors.key = faces.key"
            " WHERE hash = ? AND vector = ? ORDER BY faces.key",
            (digest, vector),
        ).fetchone()
        return None if row is None else int(row[0])

    def link_face(self, identity: str, key: int) -> None:
        """Add an alias for the id of a face."""
        with self._index.transaction() as connection:
            ids.remember_face(connection, identity, key)

    def face_change(self, key: int) -> StoredChange:
        """Return the person of a face, when that was last changed, and the vector."""
        found = self._index.connection.execute(
            "SELECT person, changed, vector FROM faces JOIN face_ids ON face = faces.key"
            " JOIN vectors ON vectors.key = faces.key WHERE faces.key = ?",
            (key,),
        ).fetchone()
        return StoredChange(*found)

    def assign_face(self, key: int, person: int | None, changed: str) -> None:
        """Assign a face to a person, with the time of the change."""
        with self._index.transaction() as connection:
            connection.execute("UPDATE faces SET person = ? WHERE key = ?", (person, key))
            connection.execute("UPDATE face_ids SET changed = ? WHERE face = ?", (changed, key))

    def was_removed(self, identity: str) -> bool:
        """Return whether the face with an id was removed here."""
        return ids.was_removed(self._index.connection, identity)

    def add_photo(self, photo: BundlePhoto, paths: Sequence[bytes]) -> int:
        """Return the row of a photo; a new one gets the first of the paths that no other photo has."""
        digest = bytes.fromhex(photo.sha256)
        with self._index.transaction() as connection:
            known = rows.photo_with(connection, digest)
            if known is not None:  # readable on the other device
                connection.execute(
                    "UPDATE photos SET state = 'ok', message = NULL WHERE id = ? AND state <> 'ok'", (known,)
                )
                return known
            row = rows.insert_photo(
                connection,
                digest,
                state="ok",
                message=None,
                reader=__version__,
                width=photo.width,
                height=photo.height,
            )
            free = (path for path in paths if not rows.is_known_path(connection, path))
            rows.insert_file(connection, next(free, paths[-1]), row, size=0, mtime=0, person="")
        return row

    def complete_photo(self, photo: BundlePhoto) -> None:
        """Store time and camera of a photo, if the gallery has it and does not know them."""
        with self._index.transaction() as connection:
            row = rows.photo_with(connection, bytes.fromhex(photo.sha256))
            if row is None:
                return
            smallest, taken, camera = rows.shot_of(connection, row)
            if (taken or photo.taken, camera or photo.camera) != (taken, camera):
                rows.put_shot(connection, row, smallest, taken or photo.taken, camera or photo.camera)

    def add_faces(self, vectors: Float32Array) -> list[int]:
        """Add vectors (n, dimension); return their keys, each of which must be passed to `add_face` next."""
        return [int(key) for key in self._index.add(vectors)]

    def add_face(self, key: int, face: BundleFace, photo: int, person: int | None, jpeg: bytes) -> None:
        """Add the record of a face whose vector is stored; it is primary only if its photo has no other such face."""
        with self._index.transaction() as connection:
            other = connection.execute("SELECT 1 FROM faces WHERE photo = ? AND is_primary", (photo,)).fetchone()
            marks = np.array(face.landmarks, "<f4").tobytes()
            primary = face.is_primary and other is None
            rows.insert_face(connection, rows.FaceRow(key, photo, person, primary, face.box, face.score, marks, jpeg))
            ids.set_id(connection, "face_ids", key, (face.id, face.created, face.changed))
            rows.put_moment(connection, key, face.moment)
            connection.execute("DELETE FROM removed_faces WHERE id = ?", (face.id,))
            if face.hidden:
                connection.execute("INSERT OR IGNORE INTO hidden_faces (face) VALUES (?)", (face.id,))

    def put_judgements(self, judgements_: Iterable[Mapping[str, Any]]) -> None:
        """Store what users said on another device; the later word counts."""
        with self._index.transaction() as connection:
            for one in judgements_:
                judgements.put(connection, one["subject"], one["person"], same=one["same"], made=one["made"])

    def remove_empty_people(self) -> None:
        """Remove people who have no face."""
        with self._index.transaction() as connection:
            rows.remove_all_empty_people(connection)


def _face(row: Any) -> BundleFace:
    _, identity, person, primary, path, digest, width, height, *box, landmarks, score, created, changed = row[:-7]
    hidden, taken, camera, *moment, _ = row[-7:]
    points = np.frombuffer(landmarks, "<f4").reshape(5, 2).tolist()
    return BundleFace(
        id=identity,
        person=person,
        is_primary=bool(primary),
        photo=BundlePhoto(_file_name(path), digest.hex(), width, height, known_taken(taken), camera or None),
        box=tuple(box),
        landmarks=tuple(map(tuple, points)),
        score=min(max(score, 0.0), 1.0),  # engines round
        created=created,
        changed=changed,
        hidden=bool(hidden),
        moment=None if moment[0] is None else Moment(*moment),
    )


def _file_name(path: bytes | None) -> str:
    """Return the last part of a path, as text that JSON can hold."""
    return os.path.basename(os.fsdecode(unmarked(path or b""))).encode("utf-8", "replace").decode() or "photo"


def _vectors(connection: sqlite3.Connection, keys: list[int], size: int) -> Float32Array:
    vectors = np.empty((len(keys), size), np.float32)
    for row, key in enumerate(keys):
        blob = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()[0]
        vectors[row] = np.frombuffer(blob, "<f4")
    return vectors
