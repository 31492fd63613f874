"""SQL expressions and questions that several tables share."""

from __future__ import annotations

import sqlite3

NOW = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
"""SQL: the current time, as bundles write it."""

LATER = f"max({NOW}, strftime('%Y-%m-%dT%H:%M:%SZ', changed, '+1 second'))"
"""SQL: the time of a change to a row with a column `changed`; later than the previous one even if the clock is not."""

UUID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)
"""SQL: a new random UUID (version 4)."""


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns in the file itself; empty where the table is absent."""
    return {row[1] for row in connection.execute(f"PRAGMA main.table_info('{table}')")}
