"""Verify, count and repair a whole gallery."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from faceall.analysis.analyser import THUMBNAIL, make_thumbnail
from faceall.arguments import checked
from faceall.errors import ImageError, IndexDamagedError, IndexFileError, IndexNewerError
from faceall.gallery.embedded.maintenance.health import UNPLACED, find_problems
from faceall.gallery.embedded.removal import forget_faces
from faceall.gallery.embedded.tables import rows as gallery_rows
from faceall.gallery.embedded.tables import schema, stale_faces
from faceall.gallery.embedded.tables.expressions import columns_of
from faceall.gallery.photo_files import find_image
from faceall.gallery.records import GalleryStatistics
from faceall.images import encode_jpeg, read_image
from faceall.index import FaceIndex
from faceall.index.maintenance.salvage import keep_copy, salvage
from faceall.index.maintenance.schema_text import damaged_rows, rows_of
from faceall.index.maintenance.settings import contradictions
from faceall.index.maintenance.verification import Verification, database_problems, odd_keys, statistics, verify
from faceall.index.storage.connection import DATABASE, connect, translated
from faceall.index.storage.file_checks import OpenFiles
from faceall.index.storage.schema import write as write_settings
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
            more = [
                *damaged_statements(connection),
                *find_problems(index),
                *_bad_thumbnails(connection),
                *_bad_vectors(index, connection),
            ]
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


@dataclass
class _Progress:
    """The lines of a repair, and the copy of the database as it was, made before the first change."""

    folder: Path
    done: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    copied: bool = False
    copy: Path | None = None

    def keep(self) -> None:
        """Copy the database as it is on the disk, unless that was done."""
        if not self.copied:
            self.copy = keep_copy(self.folder)
        self.copied = True


@checked
def repair_gallery(folder: Path) -> Repair:
    """Repair a gallery or an index that no other process has open.

    Settings and statements of the schema that the rows contradict are corrected. Only data that cannot be read is
    lost; the damaged database is kept beside the new one.

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
    progress = _Progress(folder)
    try:
        return _repair(folder, progress)
    except sqlite3.DatabaseError as error:
        raise IndexDamagedError(
            f"{folder / DATABASE} cannot be repaired ({' '.join(str(error).split())}): restore it from a backup, or"
            " remove the folder and register again"
        ) from error


def _repair(folder: Path, progress: _Progress) -> Repair:
    done, lost = progress.done, progress.lost
    if not _has_sound_schema(folder) or not _opens_soundly(folder, progress):
        _salvage(folder, progress)
    with FaceIndex(folder) as index:
        with index.transaction() as connection:
            before = connection.total_changes
            if schema.version(connection, index.name):
                schema.upgrade(connection, index.name)
                schema.complete(connection, index.name)
            _drop_odd_vectors(index, connection, lost)
            if schema.version(connection, index.name):
                for step in _STEPS:
                    step(index, connection, done, lost)
            if connection.total_changes != before:
                progress.keep()  # the transaction has not ended: this is the state before it
        found = verify(index)
        if found.graph == "damaged":
            index.rebuild_graph()
            done.append("the graph was rebuilt from the vectors")
    if progress.copy is not None:
        done.append(f"the database as it was is kept as {progress.copy}")
    return Repair(tuple(done), tuple(lost))


def damaged_statements(connection: sqlite3.Connection) -> list[str]:
    """Return the problem of a schema some of whose statements differ by a few bits from known ones."""
    number = len(damaged_rows(connection, schema.known_rows()))
    return [f"{DATABASE}: {number} statements of the schema are damaged"] if number else []


def _has_sound_schema(folder: Path) -> bool:
    """Return whether every table can be read, and every statement of the schema is intact."""
    try:
        with translated(str(folder)), closing(connect(folder, read_only=True)) as connection:
            return not damaged_statements(connection)
    except (IndexDamagedError, UnicodeDecodeError):  # the second: SQLite's message quotes a damaged statement
        return False


def _opens_soundly(folder: Path, progress: _Progress) -> bool:
    """Return whether SQLite finds no fault in its file, if need be after rebuilding its own indexes."""
    try:
        _correct_settings(folder, progress)
        index = FaceIndex(folder)
    except IndexDamagedError:
        return False
    except IndexNewerError:
        if _is_of_this_version(folder):
            return False  # only the number of the format is damaged
        raise
    try:
        with index.transaction() as connection:
            if _has_damaged_version(connection, index.name):
                return False
            if not database_problems(connection):
                return True
            progress.keep()
            connection.execute("REINDEX")
            if database_problems(connection):
                return False
    except (IndexDamagedError, UnicodeDecodeError, sqlite3.IntegrityError):  # the last: a duplicate row
        return False
    finally:
        index.close(save=False)
    progress.done.append("the indexes of the database were rebuilt")
    return True


def _has_damaged_version(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether the noted format of the gallery is not the one of its tables; raise if it is a newer one."""
    try:
        found = schema.version(connection, name)
    except IndexNewerError:
        if set(rows_of(connection).values()) <= schema.known_rows():
            return True
        raise
    return bool(columns_of(connection, "people")) and not found


def _is_of_this_version(folder: Path) -> bool:
    """Return whether the database has no table, index or trigger that this version does not know."""
    with translated(str(folder)), closing(connect(folder, read_only=True)) as connection:
        return set(rows_of(connection).values()) <= schema.known_rows()


def _correct_settings(folder: Path, progress: _Progress) -> None:
    """Correct the settings of the index that its rows contradict."""
    files = OpenFiles.of(folder)
    with translated(str(folder)), closing(connect(folder)) as connection:
        wrong = contradictions(connection)
        if not wrong:
            return
        files.require_same(str(folder))
        progress.keep()
        connection.execute("BEGIN IMMEDIATE")
        write_settings(connection, **wrong)
        connection.execute("COMMIT")
    progress.done.append("settings that the vectors contradict were corrected: " + ", ".join(sorted(wrong)))


def _salvage(folder: Path, progress: _Progress) -> None:
    found = salvage(folder, schema.known_rows(), _write_templates)
    progress.copied = True
    names = [name for name in ("vectors", "faces", "photos", "people") if name in found.kept]
    kept = ", ".join(f"{found.kept[name]:,} {name}" for name in names)
    progress.done.append(f"what can be read was copied into a new database: {kept}; the damaged one is {found.damaged}")
    progress.lost += [f"{count:,} rows of {table} whose counterpart is lost" for table, count in found.orphans.items()]
    with FaceIndex(folder) as index, index.transaction() as connection:
        schema.restore_version(connection)
        if not schema.version(connection, index.name):
            return
        schema.upgrade(connection, index.name)
        missing = schema.complete(connection, index.name)
        again = connection.execute(  # their faces may be lost: they are analysed again when they are registered
            "UPDATE photos SET state = 'unreadable', message = 'its faces may have been lost', reader = ''"
            " WHERE state = 'ok' AND NOT EXISTS (SELECT 1 FROM faces WHERE photo = photos.id)"
        ).rowcount
    if missing:
        progress.lost.append(f"{missing:,} tables")
    if again:
        progress.lost.append(f"the faces of up to {again:,} photos; register them again")


def _write_templates(folder: Path) -> Iterator[Path]:
    """Write databases of this version without rows: as they are created, and as compacting leaves them."""
    with FaceIndex(folder / "new") as index, index.transaction() as connection:
        schema.upgrade(connection, index.name)
    path = folder / "new" / DATABASE
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    yield path
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")
    yield path


def _drop_odd_vectors(index: FaceIndex, connection: sqlite3.Connection, lost: list[str]) -> None:
    odd = odd_keys(connection, index.dimension, unit=True)
    if odd:
        if schema.version(connection, index.name):
            stale_faces.make_stale(index, odd, "", keep_vectors=False)
            left = [key for key in odd if key in index]  # they belong to no face
            index.remove(left)
        else:
            index.remove(odd)
        lost.append(
            f"the vectors of {len(odd):,} faces; register their photos again, the faces keep their people until then"
        )


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
