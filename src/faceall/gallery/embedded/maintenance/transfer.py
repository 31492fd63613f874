"""Read and write the records of a gallery in a folder when it is moved."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceall.errors import IndexFileError
from faceall.gallery.embedded.removal import forget_photos
from faceall.gallery.embedded.tables import judgements, rows
from faceall.gallery.embedded.tables.columns import MARK, path_of, points_of
from faceall.gallery.records import Moment, SeenFile
from faceall.gallery.store.transfer import FaceCopy, JudgementCopy, PersonCopy, PhotoCopy
from faceall.index import FaceIndex
from faceall.index.graph.graph_file import GRAPH
from faceall.index.storage.connection import DATABASE

_STALE = "aside"
"""The name of stale faces in the result of `kept`; stored in Milvus, so it stays."""

_KEPT = {
    "person_ids": ("person_ids", "*"),
    "person_aliases": ("person_aliases", "*"),
    "face_ids": ("face_ids", "*"),
    "face_aliases": ("face_aliases", "*"),
    "removed_faces": ("removed_faces", "*"),
    "judgements": ("judgements", "*"),
    "person_details": ("person_details", "*"),
    "hidden_faces": ("hidden_faces", "*"),
    "changes": ("changes", "*"),
    "change_rows": ("change_rows", "*"),
    "bin_faces": ("bin_faces", "*"),
    _STALE: (
        "stale_faces",
        "id, photo, person, is_primary AS chief, x0, y0, x1, y1, score, landmarks, jpeg, model, vector, uuid, created,"
        " changed, face",
    ),
}
"""Name in `kept` -> table and columns."""


class EmbeddedTransfer:
    """`Transfer` of a folder."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    def digests(self) -> list[bytes]:
        """Return the SHA-256 of every photo, ordered by row."""
        with self._index.reading() as connection:
            return [bytes(row[0]) for row in connection.execute("SELECT hash FROM photos ORDER BY id")]

    def photos(self, digests: Sequence[bytes]) -> list[PhotoCopy]:
        """Return the photos with these SHA-256 from one snapshot; unknown ones are left out."""
        with self._index.reading() as connection:
            found = (_photo(connection, digest) for digest in digests)
            return [photo for photo in found if photo is not None]

    def put_photos(self, photos: Sequence[PhotoCopy]) -> None:
        """Store photos with the keys of their faces, replacing photos of the same content; all or none."""
        with self._index.transaction() as connection:
            self.remove_photos([photo.digest for photo in photos], forget=False)
            for photo in photos:
                self._put(connection, photo)

    def _put(self, connection: sqlite3.Connection, photo: PhotoCopy) -> None:
        row = rows.insert_photo(
            connection,
            photo.digest,
            state=photo.state,
            message=photo.message,
            reader=photo.reader,
            width=photo.width,
            height=photo.height,
        )
        rows.put_shot(connection, row, photo.smallest_face, photo.taken, photo.camera)
        for file in photo.files:
            path = os.fsencode(file.path)
            id_ = rows.insert_file(connection, path, row, size=file.size, mtime=file.mtime, person=file.person)
            if file.displaced:
                marked = b"%b%d%b%b" % (MARK, id_, MARK, path)
                connection.execute("UPDATE files SET path = ? WHERE id = ?", (marked, id_))
        if photo.faces:
            self._index.add(np.stack([face.vector for face in photo.faces]), [face.key for face in photo.faces])
        for face in photo.faces:
            marks = np.array(face.landmarks, "<f4").tobytes()
            copy = rows.FaceRow(face.key, row, face.person, face.primary, face.box, face.score, marks, face.jpeg)
            rows.insert_face(connection, copy)
            rows.put_moment(connection, face.key, face.moment)
        if photo.print is not None:
            rows.put_print(connection, row, photo.print)

    def remove_photos(self, digests: Sequence[bytes], *, forget: bool = True) -> None:
        """Remove photos and, with `forget`, also people who have no other face."""
        with self._index.transaction() as connection:
            photos = [photo for digest in digests if (photo := rows.photo_with(connection, digest)) is not None]
            if forget:
                forget_photos(self._index, photos)
                return
            self._index.remove([key for photo in photos for key in rows.keys_on_photo(connection, photo)])
            rows.delete_photos(connection, photos)

    def people(self) -> list[PersonCopy]:
        """Return all people."""
        with self._index.reading() as connection:
            unnamed = {row[0] for row in connection.execute("SELECT person FROM clusters")}
            found = connection.execute("SELECT id, name FROM people ORDER BY id").fetchall()
        return [PersonCopy(row, name, row in unnamed) for row, name in found]

    def put_people(self, people: Sequence[PersonCopy]) -> None:
        """Store people with their rows, replacing all existing ones."""
        with self._index.transaction() as connection:
            for number, person in enumerate(people):  # two may have swapped their names
                connection.execute("UPDATE people SET name = ? WHERE id = ?", (f"\0{number}", person.id))
            for person in people:
                connection.execute(
                    "INSERT INTO people (id, name) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = ?2",
                    (person.id, person.name),
                )
            stay = {person.id for person in people}
            there = connection.execute("SELECT id FROM people").fetchall()
            connection.executemany("DELETE FROM people WHERE id = ?", [row for row in there if row[0] not in stay])
            connection.execute("DELETE FROM clusters")
            clusters = [(person.id,) for person in people if person.cluster]
            connection.executemany("INSERT INTO clusters (person) VALUES (?)", clusters)

    def judgements(self) -> JudgementCopy:
        """Return what users said about the faces and people that the gallery has."""
        with self._index.reading() as connection:
            refused = frozenset(connection.execute(judgements.REFUSALS).fetchall())
            confirmed = frozenset(connection.execute(judgements.CONFIRMATIONS).fetchall())
            distinct = connection.execute(judgements.DISTINCT).fetchall()
        return JudgementCopy(refused, confirmed, frozenset((min(pair), max(pair)) for pair in distinct))

    def put_judgements(self, said: JudgementCopy) -> None:
        """Store what users said, and forget what they said before about the same faces and people."""
        with self._index.transaction() as connection:
            here = self.judgements()
            for same, before, after in (
                (False, here.refused, said.refused),
                (True, here.confirmed, said.confirmed),
            ):
                for face, person in before - after:
                    judgements.forget_face(connection, face, person, same=same)
            for first, second in here.distinct - said.distinct:
                judgements.forget_people(connection, first, second)
            judgements.judge_faces(connection, said.refused - here.refused, same=False)
            judgements.judge_faces(connection, said.confirmed - here.confirmed, same=True)
            for first, second in said.distinct - here.distinct:
                judgements.tell_apart(connection, first, second)

    def kept(self) -> dict[str, Any]:
        """Return the ids for bundles and the stale faces: a list of rows per table."""
        found: dict[str, Any] = {}
        with self._index.reading() as connection:
            for name, (table, columns) in _KEPT.items():
                cursor = connection.execute(f"SELECT {columns} FROM {table}")
                names = [column[0] for column in cursor.description]
                found[name] = [dict(zip(names, map(_as_json, row), strict=True)) for row in cursor]
            for row in [*found[_STALE], *found["bin_faces"]]:
                (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (row["photo"],)).fetchone()
                row["photo"] = digest.hex()
        return {name: values for name, values in found.items() if values}

    def put_kept(self, values: dict[str, Any]) -> None:
        """Store the result of `kept`, without rows that refer to unknown faces, people and photos."""
        with self._index.transaction() as connection:
            for name in _KEPT:
                for row in values.get(name, ()):
                    self._put_kept(connection, name, row)

    def _put_kept(self, connection: sqlite3.Connection, name: str, values: dict[str, Any]) -> None:
        row = {column: _from_json(value) for column, value in values.items()}
        table, _ = _KEPT[name]
        if name == _STALE:
            photo = rows.photo_with(connection, bytes.fromhex(row["photo"]))
            if photo is None:
                return
            row["photo"], row["is_primary"] = photo, row.pop("chief")
        if name == "bin_faces":
            row["photo"] = rows.photo_with(connection, bytes.fromhex(row["photo"]))
            if row["photo"] is None:
                return
        owner = {
            "person_ids": "people",
            "person_aliases": "people",
            "person_details": "people",
            "face_ids": "faces",
            "face_aliases": "faces",
        }
        if table in owner:
            column, key = ("person", "id") if owner[table] == "people" else ("face", "key")
            there = f"SELECT 1 FROM {owner[table]} WHERE {key} = ?"
            if connection.execute(there, (row[column],)).fetchone() is None:
                return
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    def destroy(self, agree: Callable[[], None]) -> None:
        """Remove the files of the gallery, and its folder if it is empty then.

        Other processes cannot write while `agree` is called; afterwards they find the database removed.
        """
        folder = self._index.folder
        with self._index.removal():
            agree()
            if folder is not None and os.name != "nt":  # where open files cannot be removed
                _unlink(folder / DATABASE)
        self._index.close(save=False)
        if folder is not None:
            for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", GRAPH):
                _unlink(folder / name)
            if not any(folder.iterdir()):
                folder.rmdir()


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise IndexFileError(f"{file} cannot be removed: {error.strerror}") from error


def _photo(connection: sqlite3.Connection, digest: bytes) -> PhotoCopy | None:
    row = connection.execute(
        "SELECT id, state, message, reader, width, height FROM photos WHERE hash = ?", (digest,)
    ).fetchone()
    if row is None:
        return None
    photo, state, message, reader, width, height = row
    files = connection.execute("SELECT path, size, mtime, person FROM files WHERE photo = ? ORDER BY id", (photo,))
    seen = tuple(SeenFile(path_of(path), size, time, who, path.startswith(MARK)) for path, size, time, who in files)
    faces = connection.execute(
        "SELECT faces.key, person, is_primary, x0, y0, x1, y1, score, landmarks, vector, jpeg, seconds, first,"
        " last FROM faces JOIN vectors ON vectors.key = faces.key LEFT JOIN thumbnails t ON t.face = faces.key"
        " LEFT JOIN moments m ON m.face = faces.key WHERE photo = ?"
        " ORDER BY faces.key",
        (photo,),
    )
    found = connection.execute("SELECT bits FROM prints WHERE photo = ?", (photo,)).fetchone()
    bits = None if found is None else bytes(found[0])
    copies, shot = tuple(map(_face, faces)), rows.shot_of(connection, photo)
    return PhotoCopy(digest, state, message, reader, width, height, bits, seen, copies, *shot)


def _face(row: Sequence[Any]) -> FaceCopy:
    key, person, primary, x0, y0, x1, y1, score, landmarks, vector, jpeg, *times = row
    points = tuple(number for point in points_of(landmarks) for number in point)
    numbers = np.frombuffer(vector, "<f4").astype(np.float32)
    moment = None if times[0] is None else Moment(*times)
    return FaceCopy(key, person, bool(primary), (x0, y0, x1, y1), score, points, numbers, bytes(jpeg or b""), moment)


def _as_json(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
