"""A gallery in a folder gives its records away, and takes those of another place."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceall.errors import IndexFileError
from faceall.gallery.bundle.ids import give_ids, has_ids
from faceall.gallery.embedded import stale_faces as aside
from faceall.gallery.embedded.columns import MARK, path_of, points_of
from faceall.gallery.embedded.people import has_clusters, make_clusters
from faceall.gallery.embedded.removal import forget_photos
from faceall.gallery.maintenance.transfer import FaceCopy, PersonCopy, PhotoCopy
from faceall.gallery.records import SeenFile
from faceall.index import FaceIndex
from faceall.index.connection import DATABASE
from faceall.index.graph_file import GRAPH

_PRINTS = (
    "CREATE TABLE IF NOT EXISTS prints (photo INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE,"
    " bits BLOB NOT NULL)"
)
_KEPT = ("person_ids", "person_aliases", "face_ids", "face_aliases", "removed_faces", "aside")


class EmbeddedTransfer:
    """`Transfer` of a folder."""

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    def digests(self) -> list[bytes]:
        """The SHA-256 of every photo, by their rows."""
        with self._index.reading() as connection:
            return [bytes(row[0]) for row in connection.execute("SELECT hash FROM photos ORDER BY id")]

    def photos(self, digests: Sequence[bytes]) -> list[PhotoCopy]:
        """The photos of these contents that are there, of one moment."""
        with self._index.reading() as connection:
            found = (_photo(connection, digest) for digest in digests)
            return [photo for photo in found if photo is not None]

    def put_photos(self, photos: Sequence[PhotoCopy]) -> None:
        """Store photos under their faces' keys, in the place of those of the same content; all or none."""
        with self._index.transaction() as connection:
            connection.execute(_PRINTS)
            self.remove_photos([photo.digest for photo in photos], forget=False)
            for photo in photos:
                self._put(connection, photo)

    def _put(self, connection: sqlite3.Connection, photo: PhotoCopy) -> None:
        values = (photo.digest, photo.state, photo.message, photo.reader, photo.width, photo.height)
        row = connection.execute(
            "INSERT INTO photos (hash, state, message, reader, width, height) VALUES (?, ?, ?, ?, ?, ?)", values
        ).lastrowid
        for file in photo.files:
            place = (os.fsencode(file.path), row, file.size, file.mtime, file.person)
            id_ = connection.execute(
                "INSERT OR REPLACE INTO files (path, photo, size, mtime, person) VALUES (?, ?, ?, ?, ?)", place
            ).lastrowid
            if file.displaced and id_ is not None:
                marked = b"%b%d%b%b" % (MARK, id_, MARK, place[0])
                connection.execute("UPDATE files SET path = ? WHERE id = ?", (marked, id_))
        if photo.faces:
            self._index.add(np.stack([face.vector for face in photo.faces]), [face.key for face in photo.faces])
        for face in photo.faces:
            landmarks = np.array(face.landmarks, "<f4").tobytes()
            connection.execute(
                "INSERT INTO faces (key, photo, person, chief, x0, y0, x1, y1, score, landmarks)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (face.key, row, face.person, face.chief, *face.box, face.score, landmarks),
            )
            connection.execute("INSERT INTO thumbnails (face, jpeg) VALUES (?, ?)", (face.key, face.jpeg))
        if photo.print is not None:
            connection.execute("INSERT OR REPLACE INTO prints (photo, bits) VALUES (?, ?)", (row, photo.print))

    def remove_photos(self, digests: Sequence[bytes], *, forget: bool = True) -> None:
        """Remove photos; `forget`: people too who have no other."""
        with self._index.transaction() as connection:
            rows = [
                row[0]
                for digest in digests
                for row in connection.execute("SELECT id FROM photos WHERE hash = ?", (digest,)).fetchall()
            ]
            if forget:
                forget_photos(self._index, rows)
                return
            keys = [
                row[0]
                for photo in rows
                for row in connection.execute("SELECT key FROM faces WHERE photo = ?", (photo,)).fetchall()
            ]
            self._index.remove(keys)
            connection.executemany("DELETE FROM photos WHERE id = ?", [(photo,) for photo in rows])

    def people(self) -> list[PersonCopy]:
        """Everybody."""
        with self._index.reading() as connection:
            unnamed = set()
            if has_clusters(connection):
                unnamed = {row[0] for row in connection.execute("SELECT person FROM clusters")}
            rows = connection.execute("SELECT id, name FROM people ORDER BY id").fetchall()
        return [PersonCopy(row, name, row in unnamed) for row, name in rows]

    def put_people(self, people: Sequence[PersonCopy]) -> None:
        """Store people under their rows, in the place of all who are there."""
        with self._index.transaction() as connection:
            make_clusters(connection)
            for number, person in enumerate(people):  # two may have swapped their names
                connection.execute("UPDATE people SET name = ? WHERE id = ?", (f"\0{number}", person.id))
            for person in people:
                connection.execute(
                    "INSERT INTO people (id, name) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = ?2",
                    (person.id, person.name),
                )
            stay = {person.id for person in people}
            rows = connection.execute("SELECT id FROM people").fetchall()
            connection.executemany("DELETE FROM people WHERE id = ?", [row for row in rows if row[0] not in stay])
            connection.execute("DELETE FROM clusters")
            clusters = [(person.id,) for person in people if person.cluster]
            connection.executemany("INSERT INTO clusters (person) VALUES (?)", clusters)

    def kept(self) -> dict[str, Any]:
        """The ids of bundles, and the faces that are aside: a list of rows per table."""
        found: dict[str, Any] = {}
        with self._index.reading() as connection:
            for table in _KEPT:
                if not (aside.is_there(connection) if table == "aside" else has_ids(connection)):
                    continue
                cursor = connection.execute(f"SELECT * FROM {table}")
                names = [column[0] for column in cursor.description]
                found[table] = [dict(zip(names, map(_as_json, row), strict=True)) for row in cursor]
            for row in found.get("aside", ()):
                (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (row["photo"],)).fetchone()
                row["photo"] = digest.hex()
        return {table: rows for table, rows in found.items() if rows}

    def put_kept(self, values: dict[str, Any]) -> None:
        """Store what `kept` gave; rows about faces, people and photos that are not there any more are left out."""
        with self._index.transaction() as connection:
            if any(table != "aside" for table in values):
                give_ids(connection)
            if "aside" in values:
                aside.prepare(connection)
            for table in _KEPT:
                for row in values.get(table, ()):
                    self._put_kept(connection, table, row)

    def _put_kept(self, connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
        row = {name: _from_json(value) for name, value in values.items()}
        if table == "aside":
            found = connection.execute(
                "SELECT id FROM photos WHERE hash = ?", (bytes.fromhex(row["photo"]),)
            ).fetchone()
            if found is None:
                return
            row["photo"] = found[0]
        owner = {"person_ids": "people", "person_aliases": "people", "face_ids": "faces", "face_aliases": "faces"}
        if table in owner:
            column, key = ("person", "id") if owner[table] == "people" else ("face", "key")
            there = f"SELECT 1 FROM {owner[table]} WHERE {key} = ?"
            if connection.execute(there, (row[column],)).fetchone() is None:
                return
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    def destroy(self, agree: Callable[[], None]) -> None:
        """Remove the files of the gallery, and its folder if nothing else lies there.

        Other processes cannot write while `agree` is called, and find that the database has gone afterwards.
        """
        folder = self._index.folder
        with self._index.transaction():
            agree()
            if folder is not None and os.name != "nt":  # which keeps files that are open
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
        "SELECT faces.key, person, chief, x0, y0, x1, y1, score, landmarks, vector, jpeg FROM faces"
        " JOIN vectors ON vectors.key = faces.key LEFT JOIN thumbnails ON face = faces.key WHERE photo = ?"
        " ORDER BY faces.key",
        (photo,),
    )
    bits = _print(connection, photo)
    return PhotoCopy(digest, state, message, reader, width, height, bits, seen, tuple(map(_face, faces)))


def _face(row: Sequence[Any]) -> FaceCopy:
    key, person, chief, x0, y0, x1, y1, score, landmarks, vector, jpeg = row
    points = tuple(number for point in points_of(landmarks) for number in point)
    numbers = np.frombuffer(vector, "<f4").astype(np.float32)
    return FaceCopy(key, person, bool(chief), (x0, y0, x1, y1), score, points, numbers, bytes(jpeg or b""))


def _print(connection: sqlite3.Connection, photo: int) -> bytes | None:
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'prints'"
    if connection.execute(statement).fetchone() is None:
        return None
    row = connection.execute("SELECT bits FROM prints WHERE photo = ?", (photo,)).fetchone()
    return None if row is None else bytes(row[0])


def _as_json(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
