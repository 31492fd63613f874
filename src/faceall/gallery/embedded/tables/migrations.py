"""The formats of a gallery's tables in faces.db, in order.

The statements of number n turn a gallery of format n - 1 into one of format n, and all of them make a new gallery.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from faceall.gallery.embedded.tables import people_schema
from faceall.gallery.embedded.tables.expressions import LATER, NOW, UUID, columns_of

_LONG_AGO = "'1970-01-01T00:00:00Z'"  # the time of a change that was not noted: every other one is later

Step = str | Callable[[sqlite3.Connection], None]


@dataclass(frozen=True)
class Migration:
    """One format of the tables.

    Parameters
    ----------
    steps : tuple of str or callable
        Statements, or functions of the connection, that lead from the format before to this one.
    show : callable, optional
        Makes temporary views and tables by which a connection sees a gallery of the format before as one of this
        format.
    """

    steps: tuple[Step, ...]
    show: Callable[[sqlite3.Connection], None] | None = None


def _rename_primary(connection: sqlite3.Connection) -> None:
    """Rename `faces.chief` to `is_primary`."""
    if "chief" in columns_of(connection, "faces"):
        connection.execute("ALTER TABLE faces RENAME COLUMN chief TO is_primary")


def _move_stale_faces(connection: sqlite3.Connection) -> None:
    """Move the rows of the former table `aside` to `stale_faces`."""
    present = columns_of(connection, "aside")
    if not present:
        return
    face = "face" if "face" in present else "NULL"
    connection.execute(
        f"INSERT OR IGNORE INTO stale_faces ({_STALE}) SELECT id, photo, person, chief, x0, y0, x1, y1, score,"
        f" landmarks, jpeg, model, vector, uuid, created, changed, {face} FROM aside"
    )
    connection.execute("DROP TRIGGER IF EXISTS aside_keeps_people")  # it belongs to `people`
    connection.execute("DROP TABLE aside")


def _show_as_second(connection: sqlite3.Connection) -> None:
    """Show a gallery of format 1, which may lack any table that came one by one, as one of format 2."""
    connection.execute(
        "CREATE VIEW temp.faces AS"
        " SELECT key, photo, person, chief AS is_primary, x0, y0, x1, y1, score, landmarks FROM main.faces"
    )
    for name, columns in _LATE.items():
        if not columns_of(connection, name):
            connection.execute(f"CREATE TABLE temp.{name} ({columns})")
    if stale := columns_of(connection, "aside"):
        face = "face" if "face" in stale else "NULL AS face"
        connection.execute(
            "CREATE VIEW temp.stale_faces AS SELECT id, photo, person, chief AS is_primary, x0, y0, x1, y1, score,"
            f" landmarks, jpeg, model, vector, uuid, created, changed, {face} FROM main.aside"
        )
    else:
        connection.execute(f"CREATE TABLE temp.stale_faces ({_STALE})")
    if not columns_of(connection, "person_ids"):
        connection.execute(
            "CREATE VIEW temp.person_ids AS SELECT id AS person, derived_id('person', name, id) AS id,"
            f" {_LONG_AGO} AS created, {_LONG_AGO} AS changed FROM main.people"
        )
    if not columns_of(connection, "face_ids"):
        connection.execute(
            "CREATE VIEW temp.face_ids AS SELECT key AS face, derived_id('face', hex(hash), key) AS id,"
            f" {_LONG_AGO} AS created, {_LONG_AGO} AS changed FROM main.faces f JOIN main.photos p ON p.id = f.photo"
        )


_LATE = {
    "clusters": "person",
    "refusals": "face, person",
    "prints": "photo, bits",
    "migration": "face, vector, reason",
    "person_aliases": "id, person",
    "face_aliases": "id, face",
    "removed_faces": "id, removed",
}
"""Tables of format 2 that stay empty until they are needed, and their columns."""

_STALE = (
    "id, photo, person, is_primary, x0, y0, x1, y1, score, landmarks, jpeg, model, vector, uuid, created, changed, face"
)

FILL = (
    f"INSERT INTO person_ids SELECT id, {UUID}, {NOW}, {NOW} FROM people"
    " WHERE id NOT IN (SELECT person FROM person_ids)",
    f"INSERT INTO face_ids SELECT key, {UUID}, {NOW}, {NOW} FROM faces WHERE key NOT IN (SELECT face FROM face_ids)",
)
"""Statements that give an id to every person and face without one."""

_FIRST = Migration((
    "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    # one row per content: state is 'ok', 'unreadable' or 'too-large', message says why, reader which faceall said so
    "CREATE TABLE photos (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, state TEXT NOT NULL,"
    " message TEXT, reader TEXT NOT NULL, width INTEGER, height INTEGER)",
    # where the content was seen: absolute paths as the system's bytes, size and time by which a change is noticed
    "CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE,"
    " photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE, size INTEGER NOT NULL,"
    " mtime INTEGER NOT NULL, person TEXT NOT NULL)",
    "CREATE INDEX files_photo ON files (photo)",
    # the key is that of the vector in the index, so neither exists without the other
    "CREATE TABLE faces (key INTEGER PRIMARY KEY REFERENCES vectors (key) ON DELETE CASCADE,"
    " photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,"
    " person INTEGER REFERENCES people (id) ON DELETE SET NULL, chief INTEGER NOT NULL,"
    " x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL, score REAL NOT NULL,"
    " landmarks BLOB NOT NULL)",
    "CREATE INDEX faces_photo ON faces (photo)",
    "CREATE INDEX faces_person ON faces (person)",
    # apart from the faces, so that listing them does not read images
    "CREATE TABLE thumbnails (face INTEGER PRIMARY KEY REFERENCES faces (key) ON DELETE CASCADE, jpeg BLOB NOT NULL)",
))  # fmt: skip

# Galleries of format 1 got the tables below one by one, when they were first needed: any of them may be there already.
_SECOND = Migration(
    (
        _rename_primary,
        # people without a name of their own
        "CREATE TABLE IF NOT EXISTS clusters (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE)",
        "CREATE TRIGGER IF NOT EXISTS clusters_named AFTER UPDATE OF name ON people WHEN new.name <> old.name BEGIN"
        " DELETE FROM clusters WHERE person = new.id; END",
        # people that a face is known not to show
        "CREATE TABLE IF NOT EXISTS refusals (face INTEGER NOT NULL REFERENCES faces (key) ON DELETE CASCADE,"
        " person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, PRIMARY KEY (face, person)) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS refusals_person ON refusals (person)",
        # difference hashes of the photos, by which near duplicates are found
        "CREATE TABLE IF NOT EXISTS prints (photo INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE,"
        " bits BLOB NOT NULL)",
        # vectors of the next model, until every face has one
        "CREATE TABLE IF NOT EXISTS migration (face INTEGER PRIMARY KEY REFERENCES vectors (key) ON DELETE CASCADE,"
        " vector BLOB, reason TEXT)",
        # faces without a vector of the current model
        "CREATE TABLE IF NOT EXISTS stale_faces (id INTEGER PRIMARY KEY,"
        " photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,"
        " person INTEGER REFERENCES people (id) ON DELETE SET NULL, is_primary INTEGER NOT NULL, x0 REAL NOT NULL,"
        " y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL, score REAL NOT NULL, landmarks BLOB NOT NULL,"
        " jpeg BLOB, model TEXT NOT NULL, vector BLOB NOT NULL, uuid TEXT, created TEXT, changed TEXT, face INTEGER)",
        "CREATE INDEX IF NOT EXISTS stale_faces_photo ON stale_faces (photo)",
        "CREATE INDEX IF NOT EXISTS stale_faces_person ON stale_faces (person)",
        _move_stale_faces,
        # people all of whose faces are stale stay, until the last of those is removed
        "CREATE TRIGGER IF NOT EXISTS stale_faces_keep_people BEFORE DELETE ON people"
        " WHEN EXISTS (SELECT 1 FROM stale_faces WHERE person = old.id) BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER IF NOT EXISTS stale_faces_removed AFTER DELETE ON stale_faces BEGIN"
        " DELETE FROM people WHERE id = old.person"
        " AND NOT EXISTS (SELECT 1 FROM faces WHERE person = old.person); END",
        # ids that are the same on every device, and when each was made and last changed
        "CREATE TABLE IF NOT EXISTS person_ids (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,"
        " id TEXT NOT NULL UNIQUE, created TEXT NOT NULL, changed TEXT NOT NULL)",
        # ids under which other devices know a person: registered there under the same name, or merged here
        "CREATE TABLE IF NOT EXISTS person_aliases (id TEXT PRIMARY KEY,"
        " person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS person_aliases_person ON person_aliases (person)",
        "CREATE TABLE IF NOT EXISTS face_ids (face INTEGER PRIMARY KEY REFERENCES faces (key) ON DELETE CASCADE,"
        " id TEXT NOT NULL UNIQUE, created TEXT NOT NULL, changed TEXT NOT NULL)",
        # ids under which other devices know a face that both have registered
        "CREATE TABLE IF NOT EXISTS face_aliases (id TEXT PRIMARY KEY,"
        " face INTEGER NOT NULL REFERENCES faces (key) ON DELETE CASCADE) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS face_aliases_face ON face_aliases (face)",
        # removed faces, which the next bundle must not bring back: only the random id is kept
        "CREATE TABLE IF NOT EXISTS removed_faces (id TEXT PRIMARY KEY, removed TEXT NOT NULL) WITHOUT ROWID",
        *FILL,
        "CREATE TRIGGER IF NOT EXISTS person_ids_given AFTER INSERT ON people BEGIN"
        f" INSERT INTO person_ids VALUES (new.id, {UUID}, {NOW}, {NOW}); END",
        "DROP TRIGGER IF EXISTS person_ids_changed",  # earlier versions used the clock alone
        "CREATE TRIGGER person_ids_changed AFTER UPDATE OF name ON people WHEN new.name <> old.name BEGIN"
        f" UPDATE person_ids SET changed = {LATER} WHERE person = new.id; END",
        "CREATE TRIGGER IF NOT EXISTS face_ids_given AFTER INSERT ON faces BEGIN"
        f" INSERT INTO face_ids VALUES (new.key, {UUID}, {NOW}, {NOW}); END",
        "DROP TRIGGER IF EXISTS face_ids_changed",
        "CREATE TRIGGER face_ids_changed AFTER UPDATE OF person ON faces WHEN new.person IS NOT old.person BEGIN"
        f" UPDATE face_ids SET changed = {LATER} WHERE face = new.key; END",
        "CREATE TRIGGER IF NOT EXISTS face_ids_removed AFTER DELETE ON face_ids BEGIN"
        f" INSERT OR REPLACE INTO removed_faces VALUES (old.id, {NOW}); END",
        "CREATE TRIGGER IF NOT EXISTS face_aliases_removed AFTER DELETE ON face_aliases BEGIN"
        f" INSERT OR REPLACE INTO removed_faces VALUES (old.id, {NOW}); END",
    ),
    _show_as_second,
)

_THIRD = Migration(people_schema.STEPS, people_schema.show)


def _show_shots(connection: sqlite3.Connection) -> None:
    """Show a gallery without notes on how photos were taken as one with an empty table of them."""
    if not columns_of(connection, "shots"):
        connection.execute("CREATE TABLE temp.shots (photo, smallest_face, taken, camera)")


_SHOTS = Migration(
    (
        # how a photo was searched and taken: the smallest face in pixels, the camera's time (ISO 8601) and model
        "CREATE TABLE IF NOT EXISTS shots (photo INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE,"
        " smallest_face REAL, taken TEXT, camera TEXT)",
    ),
    _show_shots,
)


def _show_moments(connection: sqlite3.Connection) -> None:
    """Show a gallery without faces of videos as one with an empty table of them."""
    if not columns_of(connection, "moments"):
        connection.execute("CREATE TABLE temp.moments (face, seconds, first, last)")


def _forget_moments(table: str, column: str) -> str:
    """Return a trigger that forgets the moment of a face that is nowhere any more."""
    others = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {name} WHERE {key} = old.{column})"
        for name, key in (("faces", "key"), ("stale_faces", "face"), ("bin_faces", "face"))
    )
    return (
        f"CREATE TRIGGER IF NOT EXISTS moments_{table} AFTER DELETE ON {table} BEGIN"
        f" DELETE FROM moments WHERE face = old.{column} AND {others}; END"
    )


_MOMENTS = Migration(
    (
        # faces of videos: the time of the best frame, and of the first and the last one that show the face, in seconds
        "CREATE TABLE IF NOT EXISTS moments (face INTEGER PRIMARY KEY, seconds REAL NOT NULL, first REAL NOT NULL,"
        " last REAL NOT NULL)",
        _forget_moments("faces", "key"),
        _forget_moments("stale_faces", "face"),
        _forget_moments("bin_faces", "face"),
    ),
    _show_moments,
)

MIGRATIONS = (_FIRST, _SECOND, _THIRD, _SHOTS, _MOMENTS)
