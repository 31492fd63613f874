"""Compare the schema's text in a database with the known statements, and rewrite what a few flipped bits changed.

SQLite keeps the CREATE statements of a database as text in its table `sqlite_master`. The rows of a table can be read
as long as that text is correct, and faceall knows every statement that it has ever written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

SchemaRow = tuple[bytes, bytes, bytes, bytes]
"""type, name, tbl_name and sql of a row of `sqlite_master`; sql is empty for the indexes that SQLite makes itself."""

_MOST_BITS = 16  # a row that differs by more is another statement, such as one of an older or newer version


def known_rows(build: Callable[[sqlite3.Connection], None]) -> frozenset[SchemaRow]:
    """Return the rows of `sqlite_master` that a function produces in an empty database.

    Parameters
    ----------
    build : callable
        Executes the statements on a connection.

    Returns
    -------
    frozenset of SchemaRow
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        build(connection)
        return frozenset(rows_of(connection).values())


def rows_of(connection: sqlite3.Connection) -> dict[int, SchemaRow]:
    """Return the rows of `sqlite_master` as bytes, by rowid; damaged text is returned as it is stored."""
    query = "SELECT rowid, CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB)"
    found = connection.execute(f"{query} FROM sqlite_master").fetchall()
    return {row[0]: (row[1] or b"", row[2] or b"", row[3] or b"", row[4] or b"") for row in found}


def damaged_rows(connection: sqlite3.Connection, known: Collection[SchemaRow]) -> dict[int, SchemaRow]:
    """Find the rows of `sqlite_master` that differ from a known one by a few bits.

    Parameters
    ----------
    connection : sqlite3.Connection
        The database; `PRAGMA writable_schema = ON` lets SQLite read one whose schema it would refuse.
    known : collection of SchemaRow
        Every row that faceall writes.

    Returns
    -------
    dict of int to SchemaRow
        The correct row for each rowid that is damaged; empty for a sound schema.
    """
    damaged: dict[int, SchemaRow] = {}
    for number, row in rows_of(connection).items():
        if row in known:
            continue
        lengths = tuple(map(len, row))
        near = [(_distance(row, other), other) for other in known if tuple(map(len, other)) == lengths]
        bits, best = min(near, default=(_MOST_BITS + 1, row))
        if bits <= _MOST_BITS:
            damaged[number] = best
    return damaged


def rewrite(path: Path, known: Collection[SchemaRow]) -> int:
    """Rewrite the damaged rows of the schema in a database file; return how many there were.

    Raises
    ------
    sqlite3.DatabaseError
        The file is damaged elsewhere, too.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        damaged = damaged_rows(connection, known)
        for number, row in damaged.items():
            kind, name, table, sql = (part.decode() for part in row)
            connection.execute(
                "UPDATE sqlite_master SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?",
                (kind, name, table, sql or None, number),
            )
    return len(damaged)


def _distance(one: SchemaRow, other: SchemaRow) -> int:
    """Return the number of bits by which two rows with parts of the same lengths differ."""
    first, second = b"".join(one), b"".join(other)
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()
