"""Verify, count and repair a whole gallery."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceall.analysis.analyser import THUMBNAIL, make_thumbnail
from faceall.errors import ImageError, IndexDamagedError, IndexFileError
from faceall.gallery.embedded import rows as gallery_rows
from faceall.gallery.embedded import schema, stale_faces
from faceall.gallery.embedded.health import UNPLACED, find_problems
from faceall.gallery.embedded.removal import forget_faces
from faceall.gallery.maintenance.migration import find_image
from faceall.gallery.records import GalleryStatistics
from faceall.images import encode_jpeg, read_image
from faceall.index import FaceIndex
from faceall.index.maintenance.salvage import salvage
from faceall.index.maintenance.verification import Verification, database_problems, odd_keys, statistics, verify
from faceall.index.storage.connection import DATABASE
from faceall.types import Face

_MARKS = (5, 2)


@dataclass(frozen=True)
class Repair:
    """What was repaired and what is lost, one line each; both are empty if nothing was wrong."""

    done: tuple[str, ...]
    lost: tuple[str, ...]


def verify_gallery(index: FaceIndex) -> Verification:
    """Verify the index, the gallery's own tables and every thumbnail."""
    found = verify(index)
    with index.reading() as connection:
        if any("damaged" in problem or "malformed" in problem for problem in found.problems):
            more: list[str] = []
        elif schema.version(connection, index.name):
            more = [*find_problems(index), *_bad_thumbnails(connection), *_bad_vectors(index, connection)]
        else:
            more = []
    problems = tuple(dict.fromkeys([*found.problems, *more]))
    return replace(found, problems=problems)


def _bad_thumbnails(connection: sqlite3.Connection) -> list[str]:
    bad = len(_unreadable_thumbnails(connection))
    return [f"{bad} thumbnails that are not readable images"] if bad else []


def _bad_vectors(index: FaceIndex, connection: sqlite3.Connection) -> list[str]:
    bad = len(odd_keys(connection, index.dimension, unit=True))
    return [f"{bad} vectors that are damaged: not finite, or not of length one like the others"] if bad else []


def _unreadable_thumbnails(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT face, jpeg FROM thumbnails") if not _is_image(row[1])]


def _is_image(data: object) -> bool:
    try:
        return isinstance(data, bytes) and bool(read_image(data).size)
    except ImageError:
        return False


def gallery_statistics(index: FaceIndex) -> GalleryStatistics:
    """Count the rows and bytes of a gallery."""
    with index.reading() as connection:
        if not schema.version(connection, index.name):
            return GalleryStatistics(statistics(index), 0, 0, 0, 0, 0)
        faces, people, photos = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("faces", "people", "photos")
        )
        size = connection.execute("SELECT coalesce(sum(length(jpeg)), 0) FROM thumbnails").fetchone()[0]
        waiting = stale_faces.count(connection)
    return GalleryStatistics(statistics(index), faces, people, photos, waiting, size)


def repair_gallery(folder: Path) -> Repair:
    """Repair a gallery or an index that no other process has open.

    Only data that cannot be read is lost; the damaged database is kept beside the new one.

    Parameters
    ----------
    folder : Path
        The folder of the gallery or index.

    Returns
    -------
    Repair
        What was repaired and what is lost.

    Raises
    ------
    IndexFileError
        The folder holds no gallery, or the disk cannot hold the new database.
    IndexDamagedError
        Nothing can be recovered.
    """
    if not (folder / DATABASE).exists():
        raise IndexFileError(f"{folder}: there is no gallery in this folder")
    if not any(path.stat().st_size for path in (folder / DATABASE, folder / f"{DATABASE}-wal") if path.exists()):
        raise IndexDamagedError(f"{folder / DATABASE} is empty: restore it from a backup, or register the photos again")
    done: list[str] = []
    lost: list[str] = []
    if not _opens_soundly(folder, done):
        _salvage(folder, done, lost)
    with FaceIndex(folder) as index:
        with index.transaction() as connection:
            if schema.version(connection, index.name):
                schema.upgrade(connection, index.name)
            _drop_odd_vectors(index, connection, lost)
            if schema.version(connection, index.name):
                for step in _STEPS:
                    step(index, connection, done, lost)
        found = verify(index)
        if found.graph == "damaged":
            index.rebuild_graph()
            done.append("the graph was rebuilt from the vectors")
    return Repair(tuple(done), tuple(lost))


def _opens_soundly(folder: Path, done: list[str]) -> bool:
    """Return whether SQLite finds no fault in its file, if need be after rebuilding its own indexes."""
    try:
        index = FaceIndex(folder)
    except IndexDamagedError:
        return False
    try:
        with index.transaction() as connection:
            if not database_problems(connection):
                return True
            connection.execute("REINDEX")
            if database_problems(connection):
                return False
    except (IndexDamagedError, UnicodeDecodeError, sqlite3.IntegrityError):  # the last: a duplicate row
        return False
    finally:
        index.close(save=False)
    done.append("the indexes of the database were rebuilt")
    return True


def _salvage(folder: Path, done: list[str], lost: list[str]) -> None:
    found = salvage(folder)
    names = [name for name in ("vectors", "faces", "photos", "people") if name in found.kept]
    kept = ", ".join(f"{found.kept[name]:,} {name}" for name in names)
    done.append(f"what can be read was copied into a new database: {kept}; the damaged one is {found.damaged}")
    lost += [f"{count:,} rows of {table} whose counterpart is lost" for table, count in found.orphans.items()]
    with FaceIndex(folder) as index, index.transaction() as connection:
        schema.restore_version(connection)
        if not schema.version(connection, index.name):
            return
        schema.upgrade(connection, index.name)
        again = connection.execute(  # their faces may be lost: they are analysed again when they are registered
            "UPDATE photos SET state = 'unreadable', message = 'its faces may have been lost', reader = ''"
            " WHERE state = 'ok' AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)"
        ).rowcount
    if again:
        lost.append(f"the faces of up to {again:,} photos; register them again")


def _drop_odd_vectors(index: FaceIndex, connection: sqlite3.Connection, lost: list[str]) -> None:
    odd = odd_keys(connection, index.dimension, unit=True)
    if odd:
        if schema.version(connection, index.name):
            forget_faces(index, odd)
        else:
            index.remove(odd)
        lost.append(f"{len(odd):,} faces whose vector was damaged; register their photos again")


def _drop_stray_vectors(index: FaceIndex, connection: sqlite3.Connection, done: list[str], lost: list[str]) -> None:
    stray = [row[0] for row in connection.execute("SELECT key FROM vectors WHERE key NOT IN (SELECT key FROM faces)")]
    if stray:
        index.remove(stray)
        lost.append(f"{len(stray):,} vectors that belong to no known face")


def _drop_unplaced_faces(index: FaceIndex, connection: sqlite3.Connection, done: list[str], lost: list[str]) -> None:
    faces = [row[0] for row in connection.execute(f"SELECT key FROM faces WHERE {UNPLACED}")]
    if faces:
        forget_faces(index, faces)
        lost.append(f"{len(faces):,} faces whose position in the photo is lost; register their photos again")


def _restore_thumbnails(index: FaceIndex, connection: sqlite3.Connection, done: list[str], lost: list[str]) -> None:
    missing = "SELECT key FROM faces WHERE key NOT IN (SELECT face FROM thumbnails)"
    keys = [row[0] for row in connection.execute(missing)] + _unreadable_thumbnails(connection)
    made = 0
    for key in keys:
        photo, *box, score, marks = connection.execute(
            "SELECT photo, x0, y0, x1, y1, score, landmarks FROM faces WHERE key = ?", (key,)
        ).fetchone()
        (digest,) = connection.execute("SELECT hash FROM photos WHERE id = ?", (photo,)).fetchone()
        image = find_image(digest, gallery_rows.paths_of(connection, photo))[1]
        if image is None:
            jpeg = encode_jpeg(np.full((THUMBNAIL, THUMBNAIL, 3), 128, np.uint8))
        else:
            landmarks = np.frombuffer(marks, "<f4").reshape(_MARKS)
            jpeg = make_thumbnail(image, Face(np.array(box, np.float32), score, landmarks))
            made += 1
        gallery_rows.put_thumbnail(connection, key, jpeg)
    if made:
        done.append(f"{made:,} thumbnails were created again from the photos")
    if made < len(keys):
        lost.append(f"{len(keys) - made:,} thumbnails whose photos are gone; they are replaced by grey images")


def _restore_files(index: FaceIndex, connection: sqlite3.Connection, done: list[str], lost: list[str]) -> None:
    rows = connection.execute("SELECT id, hash FROM photos WHERE id NOT IN (SELECT photo FROM files)").fetchall()
    for photo, digest in rows:
        if connection.execute("SELECT 1 FROM faces WHERE photo = ?", (photo,)).fetchone():
            path = os.fsencode(Path(index.name) / "unknown" / digest.hex())
            gallery_rows.insert_file(connection, path, photo, size=0, mtime=0, person="")
            lost.append(f"the path of the photo with SHA-256 {digest.hex()[:12]}...; register it again to restore it")
        else:
            connection.execute("DELETE FROM photos WHERE id = ?", (photo,))


def _settle_people(index: FaceIndex, connection: sqlite3.Connection, done: list[str], lost: list[str]) -> None:
    gone = gallery_rows.remove_all_empty_people(connection)
    if gone:
        lost.append(f"{gone:,} people without a face")
    twice = connection.execute("SELECT photo FROM faces WHERE is_primary GROUP BY photo HAVING count(*) > 1").fetchall()
    for (photo,) in twice:
        connection.execute(
            "UPDATE faces SET is_primary = key = (SELECT key FROM faces WHERE photo = ?1 AND is_primary"
            " ORDER BY (x1 - x0) * (y1 - y0) DESC, key LIMIT 1) WHERE photo = ?1",
            (photo,),
        )
    if twice:
        done.append(f"{len(twice):,} photos had two primary faces; the larger one is kept")


Step = Callable[[FaceIndex, sqlite3.Connection, list[str], list[str]], None]
_STEPS: tuple[Step, ...] = (
    _drop_stray_vectors,  # first: later steps expect a face for every vector
    _drop_unplaced_faces,
    _restore_files,
    _restore_thumbnails,
    _settle_people,  # last: the other steps may have removed faces
)
