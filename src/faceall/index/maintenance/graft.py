"""Put the pages of an intact schema in the place of damaged ones.

The rows of a table are in pages of their own; only `sqlite_master`, in the first pages of the file, says where a table
begins. A database that was created with the same statements in the same order has the same places, so its first pages
fit the damaged file. Whether they do is checked on the pages at these places, and on the types of values in them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

_HEADER = 100
_TABLE_PAGES = (5, 13)  # kinds of pages of a table: interior and leaf
_INDEX_PAGES = (2, 10)
_INTERIOR = 5
_SIZE, _CHANGES, _FREE, _VALID_FOR = slice(28, 32), slice(24, 28), slice(32, 40), slice(92, 96)
_SAMPLE = 20
_TYPES = ("integer", "real", "text", "blob")
"""Declared types of columns whose values have the same one; a column of another type may hold any."""


def graft(damaged: Path, templates: Iterable[Path]) -> bool:
    """Replace the schema of a database by that of the first template that fits; return whether one does.

    Parameters
    ----------
    damaged : Path
        A copy of the damaged database, without a log. It is changed.
    templates : iterable of Path
        Databases without rows, created like the damaged one.
    """
    content = damaged.read_bytes()
    for template in templates:
        data = template.read_bytes()
        size = int.from_bytes(data[16:18], "big")
        if len(content) < size or len(content) % size:
            continue
        damaged.write_bytes(_joined(content, data, size))
        if _fits(damaged, size):
            return True
    damaged.write_bytes(content)
    return False


def _joined(content: bytes, template: bytes, size: int) -> bytes:
    """Return the content with the first page of the template, and its other pages of the schema behind the last one.

    They are not put where the template has them: the file may have rows there.
    """
    pages = _schema_pages(template, size)
    last = len(content) // size
    moved = {number: last + place for place, number in enumerate(pages[1:], 1)}
    joined = bytearray(content)
    for number in pages:
        page = bytearray(template[(number - 1) * size : number * size])
        for place in _pointers(page, number):
            child = int.from_bytes(page[place : place + 4], "big")
            page[place : place + 4] = moved[child].to_bytes(4, "big")
        if number == 1:
            joined[:size] = page
        else:
            joined += page
    joined[_SIZE] = (len(joined) // size).to_bytes(4, "big")
    joined[_CHANGES] = joined[_VALID_FOR] = (1 << 30).to_bytes(4, "big")
    joined[_FREE] = bytes(8)
    return bytes(joined)


def _schema_pages(template: bytes, size: int) -> list[int]:
    """Return the numbers of the pages of `sqlite_master`, the first one first; its rows fit their pages."""
    found, waiting = [], [1]
    while waiting:
        number = waiting.pop()
        found.append(number)
        page = template[(number - 1) * size : number * size]
        waiting += [int.from_bytes(page[place : place + 4], "big") for place in _pointers(page, number)]
    return found


def _pointers(page: bytes | bytearray, number: int) -> list[int]:
    """Return the places of the numbers of pages below an interior page; none for a leaf."""
    start = _HEADER if number == 1 else 0
    if page[start] != _INTERIOR:
        return []
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + 12
    return [int.from_bytes(page[first + 2 * n : first + 2 * n + 2], "big") for n in range(cells)] + [start + 8]


def _fits(path: Path, size: int) -> bool:
    """Return whether every table begins at a page of a table, and holds values of its types."""
    content = path.read_bytes()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            query = "SELECT type, name, rootpage, sql FROM sqlite_master WHERE rootpage > 1"
            for kind, name, root, sql in connection.execute(query).fetchall():
                plain = kind == "table" and "WITHOUT ROWID" not in (sql or "").upper()
                if content[(root - 1) * size] not in (_TABLE_PAGES if plain else _INDEX_PAGES):
                    return False
                if kind == "table" and not _holds(connection, name):
                    return False
    except (sqlite3.DatabaseError, IndexError):
        return False
    return True


def _holds(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether the first values of a table have the types of its columns."""
    columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    shown = ", ".join(f'typeof("{column[1]}")' for column in columns)
    for row in connection.execute(f'SELECT {shown} FROM "{table}" LIMIT {_SAMPLE}').fetchall():
        for found, (_, _, declared, required, _, key) in zip(row, columns, strict=True):
            kind = declared.lower()
            if (found == "null" and required and not key) or (kind in _TYPES and found not in (kind, "null")):
                return False
    return True


def has_log(path: Path) -> bool:
    """Return whether a database has a log with contents."""
    log = Path(f"{path}-wal")
    return log.exists() and os.path.getsize(log) > 0
