"""Ids that stay the same on every device: a random UUID per person and face, and when each was made and changed.

Triggers of the database assign them to every new row (see `schema`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Literal

from faceall.gallery.embedded.tables.expressions import LATER


def set_id(
    connection: sqlite3.Connection, table: Literal["person_ids", "face_ids"], row: int, values: tuple[str, str, str]
) -> None:
    """Give a new row the id, `created` and `changed` that it has elsewhere."""
    column = "person" if table == "person_ids" else "face"
    connection.execute(f"UPDATE {table} SET id = ?, created = ?, changed = ? WHERE {column} = ?", (*values, row))


def sorted_by_id(
    connection: sqlite3.Connection, table: Literal["person_ids", "face_ids"], found: Sequence[int]
) -> list[int]:
    """Return rows in the order of their ids; rows without an id come last."""
    column = "person" if table == "person_ids" else "face"
    statement = f"SELECT {column}, id FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))"
    known = dict(connection.execute(statement, (json.dumps(list(found)),)))
    return sorted(found, key=lambda row: (row not in known, known.get(row, ""), row))


def person_by_id(connection: sqlite3.Connection, identity: str) -> int | None:
    """Return the row of the person with an id, or with an alias of that value."""
    row = connection.execute(
        "SELECT person FROM person_ids WHERE id = ? UNION ALL SELECT person FROM person_aliases WHERE id = ?",
        (identity, identity),
    ).fetchone()
    return None if row is None else int(row[0])


def face_by_id(connection: sqlite3.Connection, identity: str) -> int | None:
    """Return the key of the face with an id, or with an alias of that value."""
    row = connection.execute(
        "SELECT face FROM face_ids WHERE id = ? UNION ALL SELECT face FROM face_aliases WHERE id = ?",
        (identity, identity),
    ).fetchone()
    return None if row is None else int(row[0])


def was_removed(connection: sqlite3.Connection, identity: str) -> bool:
    """Return whether the face with an id was removed from the gallery."""
    return connection.execute("SELECT 1 FROM removed_faces WHERE id = ?", (identity,)).fetchone() is not None


def remember_person(connection: sqlite3.Connection, identity: str, person: int) -> None:
    """Add an alias for the id of a person."""
    connection.execute(
        "INSERT INTO person_aliases (id, person) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET person = ?2",
        (identity, person),
    )


def remember_face(connection: sqlite3.Connection, identity: str, face: int) -> None:
    """Add an alias for the id of a face."""
    connection.execute("INSERT OR REPLACE INTO face_aliases (id, face) VALUES (?, ?)", (identity, face))


def pass_on_ids(connection: sqlite3.Connection, source: int, target: int) -> None:
    """Make the id and aliases of a person aliases of the one they are merged into, whose name counts as new."""
    connection.execute("UPDATE person_aliases SET person = ? WHERE person = ?", (target, source))
    row = connection.execute("SELECT id FROM person_ids WHERE person = ?", (source,)).fetchone()
    if row is not None:
        remember_person(connection, row[0], target)
    connection.execute(f"UPDATE person_ids SET changed = {LATER} WHERE person = ?", (target,))
