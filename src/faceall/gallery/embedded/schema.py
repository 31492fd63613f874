"""The gallery's tables in faces.db, beside those of its index: who, which photo, which face."""

from __future__ import annotations

import sqlite3

from faceall.errors import IndexDamagedError, IndexNewerError

SCHEMA = 1

_VERSION_KEY = "gallery.schema"

_TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    # one row per content: state is 'ok', 'unreadable' or 'too-large'; message and reader tell why, and who said so
    "CREATE TABLE photos (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, state TEXT NOT NULL,"
    " message TEXT, reader TEXT NOT NULL, width INTEGER, height INTEGER)",
    # where that content was seen: absolute paths as the system's bytes, with what tells a change at a glance
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
    # apart from the faces, so that listing them does not walk over pictures
    "CREATE TABLE thumbnails (face INTEGER PRIMARY KEY REFERENCES faces (key) ON DELETE CASCADE, jpeg BLOB NOT NULL)",
)


def version(connection: sqlite3.Connection, name: str) -> int:
    """The version of the gallery's tables, 0 where there are none yet; a newer one is refused."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_VERSION_KEY,)).fetchone()
    found = row[0] if row else 0
    if not isinstance(found, int) or found < 0:
        raise IndexDamagedError(f"{name}/faces.db is damaged: {_VERSION_KEY} is {found!r}, expected a number")
    if found > SCHEMA:
        raise IndexNewerError(
            f"{name} was written by a newer faceall (gallery format {found}, this one reads up to {SCHEMA}):"
            " upgrade faceall"
        )
    return found


def restore_version(connection: sqlite3.Connection) -> None:
    """Note the version again where damage has taken that, and nothing but that, inside the caller's transaction."""
    if _has_people(connection):
        row = connection.execute("SELECT typeof(value) FROM meta WHERE key = ?", (_VERSION_KEY,)).fetchone()
        if row is None or row[0] != "integer":
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_VERSION_KEY, SCHEMA))


def _has_people(connection: sqlite3.Connection) -> bool:
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'people'"
    return connection.execute(statement).fetchone() is not None


def create(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables where they are missing, inside the caller's transaction."""
    if version(connection, name) == SCHEMA:
        return
    if _has_people(connection):
        raise IndexDamagedError(
            f"{name}/faces.db is damaged: it has lost {_VERSION_KEY}: save what can be read (faceall index repair)"
        )
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_VERSION_KEY, SCHEMA))
