"""The tables of a gallery in faces.db, beside those of its index, and how older ones become the current ones.

A migration (`migrations`) runs in one transaction when a gallery is opened for writing. A gallery of an older format
that is opened for reading only is not changed: temporary views and empty temporary tables give its connections the
current names (`adapt`).
"""

from __future__ import annotations

import sqlite3
from functools import cache

from faceall.errors import IndexDamagedError, IndexNewerError
from faceall.gallery.embedded.tables.expressions import columns_of
from faceall.gallery.embedded.tables.migrations import FILL, MIGRATIONS, Migration
from faceall.gallery.identifiers import derived_id
from faceall.index.maintenance.schema_text import SchemaRow
from faceall.index.maintenance.schema_text import known_rows as known_rows_of
from faceall.index.storage.schema import create_tables

SCHEMA = len(MIGRATIONS)
"""The current format."""

_VERSION_KEY = "gallery.schema"
_ORDER = {b"table": 0, b"index": 1, b"view": 2, b"trigger": 3}


def version(connection: sqlite3.Connection, name: str) -> int:
    """Return the format of the gallery's tables.

    Parameters
    ----------
    connection : sqlite3.Connection
        A connection to faces.db.
    name : str
        The gallery, for messages.

    Returns
    -------
    int
        0 where the database holds an index without a gallery.

    Raises
    ------
    IndexDamagedError
        The stored number makes no sense.
    IndexNewerError
        A newer faceall has written the gallery.
    """
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


def upgrade(connection: sqlite3.Connection, name: str) -> None:
    """Bring the tables to the current format, inside the caller's transaction; make them where there are none.

    Raises
    ------
    IndexDamagedError
        The tables are there, but their format is not noted.
    IndexNewerError
        A newer faceall has written the gallery.
    """
    found = version(connection, name)
    if found == 0 and columns_of(connection, "people"):
        raise IndexDamagedError(
            f"{name}/faces.db is damaged: it has lost {_VERSION_KEY}: save what can be read (faceall index repair)"
        )
    for migration in MIGRATIONS[found:]:
        _run(connection, migration)
    if found != SCHEMA:
        _note_version(connection, SCHEMA)


@cache
def known_rows() -> frozenset[SchemaRow]:
    """Return the rows of `sqlite_master` of every format, by which a repair recognises damaged statements."""
    return frozenset().union(*(_known_rows(number) for number in range(SCHEMA + 1)))


def _known_rows(number: int) -> frozenset[SchemaRow]:
    """Return the rows of `sqlite_master` of one format."""

    def build(connection: sqlite3.Connection) -> None:
        create_tables(connection)
        for migration in MIGRATIONS[:number]:
            _run(connection, migration)

    return known_rows_of(build)


def complete(connection: sqlite3.Connection, name: str) -> int:
    """Make the tables, indexes and triggers that a gallery of its format lacks, inside the caller's transaction.

    Returns
    -------
    int
        How many were missing.
    """
    present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    made = 0
    for kind, named, _, sql in sorted(_known_rows(version(connection, name)), key=lambda row: _ORDER[row[0]]):
        if sql and named.decode() not in present:
            connection.execute(sql.decode())
            made += kind == b"table"
    for statement in FILL if columns_of(connection, "person_ids") else ():
        connection.execute(statement)
    return made


def adapt(connection: sqlite3.Connection) -> None:
    """Let a connection that must not write see a gallery of an older format as one of the current format."""
    connection.create_function("derived_id", -1, lambda *parts: derived_id(*map(str, parts)), deterministic=True)
    for kind, name in connection.execute("SELECT type, name FROM temp.sqlite_master WHERE type <> 'index'").fetchall():
        connection.execute(f'DROP {kind} temp."{name}"')
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_VERSION_KEY,)).fetchone()
    if row is None or not isinstance(row[0], int) or not 0 < row[0] < SCHEMA:
        return
    for migration in MIGRATIONS[row[0] :]:
        if migration.show is not None:
            migration.show(connection)


def restore_version(connection: sqlite3.Connection) -> None:
    """Note the format again where damage has removed that note only, inside the caller's transaction."""
    if not columns_of(connection, "people"):
        return
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_VERSION_KEY,)).fetchone()
    if row is None or not isinstance(row[0], int) or not 0 < row[0] <= SCHEMA:
        _note_version(connection, _recognised_version(connection))


def _recognised_version(connection: sqlite3.Connection) -> int:
    """Return the format of the tables by the names in them."""
    if "is_primary" not in columns_of(connection, "faces"):
        return 1
    if not columns_of(connection, "changes"):
        return 2
    if not columns_of(connection, "shots"):
        return 3
    return SCHEMA if columns_of(connection, "moments") else 4


def _run(connection: sqlite3.Connection, migration: Migration) -> None:
    for step in migration.steps:
        if isinstance(step, str):
            connection.execute(step)
        else:
            step(connection)


def _note_version(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_VERSION_KEY, number))
