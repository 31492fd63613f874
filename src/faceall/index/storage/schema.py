"""The tables, the versions and the settings in faces.db."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from faceall.errors import IndexDamagedError, IndexNewerError
from faceall.index.storage.connection import DATABASE

APPLICATION = 0x46414C4C  # "FALL", distinguishes our databases from any other SQLite file
SCHEMA = 1
HIGHEST = 1 << 61
"""Upper limit of the number of transactions."""

TABLES = (
    # settings; the index's own keys begin with "index.", all others are free for the gallery
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # AUTOINCREMENT never assigns a key twice; `added` is the generation in which the row was added
    "CREATE TABLE vectors (key INTEGER PRIMARY KEY AUTOINCREMENT, added INTEGER NOT NULL, vector BLOB NOT NULL)",
    "CREATE INDEX vectors_added ON vectors (added)",
    # the log of removals, for other processes and the graph file; it contains no vectors
    "CREATE TABLE removals (generation INTEGER NOT NULL, key INTEGER NOT NULL, added INTEGER NOT NULL,"
    " PRIMARY KEY (generation, key)) WITHOUT ROWID",
)


@dataclass(frozen=True)
class Settings:
    """The settings of an index at one moment.

    Attributes
    ----------
    dimension : int or None
        Length of a vector, None before the first one.
    metric : {"l2", "cosine"}
        The distance.
    model : str or None
        Name of the embedder, None if none was given.
    generation : int
        Number of transactions that changed a vector.
    log_floor : int
        The log contains removals after this generation.
    graph : bytes or None
        SHA-256 of the current graph file, None if there is none.
    graph_generation : int
        The generation that the graph file reflects.
    """

    dimension: int | None
    metric: str
    model: str | None
    generation: int = 0
    log_floor: int = 0
    graph: bytes | None = None
    graph_generation: int = 0


def is_fresh(connection: sqlite3.Connection) -> bool:
    """Return whether the database is empty."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and not _number(connection, "application_id") and not _number(connection, "user_version")


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty index."""
    for statement in TABLES:
        connection.execute(statement)


def create(connection: sqlite3.Connection, metric: str) -> None:
    """Make the tables of an empty index, inside the caller's transaction."""
    create_tables(connection)
    write(connection, metric=metric)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def check(connection: sqlite3.Connection, name: str) -> None:
    """Check that a database is a face index of this version.

    Raises
    ------
    IndexDamagedError
        If it belongs to another program or has lost a table.
    IndexNewerError
        If a newer version of faceall wrote it.
    """
    if _number(connection, "application_id") != APPLICATION:
        raise IndexDamagedError(f"{name}/{DATABASE} is an SQLite file of another program, not a face index")
    version = _number(connection, "user_version")
    if version > SCHEMA:
        raise IndexNewerError(
            f"{name} was written by a newer faceall (format {version}, this one reads up to {SCHEMA}): upgrade faceall"
        )
    present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = sorted({"meta", "vectors", "removals"} - present)
    if missing:
        raise IndexDamagedError(f"{name}/{DATABASE} is damaged: it has lost the table {missing[0]!r}")


def read(connection: sqlite3.Connection, name: str) -> Settings:
    """Read the settings in the connection's snapshot.

    Raises
    ------
    IndexDamagedError
        If they are invalid.
    """
    rows = connection.execute("SELECT substr(key, 7), value FROM meta WHERE substr(key, 1, 6) = 'index.'")
    found = dict(rows.fetchall())
    unknown = sorted(set(found) - set(Settings.__dataclass_fields__))
    wrong = unknown or [key for key, value in found.items() if not makes_sense(key, value)]
    if wrong or "metric" not in found:
        raise IndexDamagedError(f"{name}/{DATABASE} is damaged: its settings make no sense ({wrong or 'metric'})")
    found.setdefault("dimension", None)
    found.setdefault("model", None)
    return Settings(**found)


def makes_sense(key: str, value: object) -> bool:
    """Return whether a setting can have a value."""
    if key == "metric":
        return value in ("l2", "cosine")
    if key in ("model", "graph"):
        return value is None or isinstance(value, str if key == "model" else bytes)
    if key == "dimension" and value is None:
        return True
    return isinstance(value, int) and (key == "dimension") <= value <= HIGHEST


def write(connection: sqlite3.Connection, **settings: object) -> None:
    """Store settings, named like the fields of `Settings`, inside the caller's transaction."""
    rows = [(f"index.{key}", value) for key, value in settings.items()]
    connection.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
