"""Ids that survive travelling: a random UUID per person and face, and when each was made and last changed.

Triggers of the database give them to everything new, whoever registers it (see `schema`).
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from faceall.gallery.embedded.schema import LATER


def set_id(
    connection: sqlite3.Connection, table: Literal["person_ids", "face_ids"], row: int, values: tuple[str, str, str]
) -> None:
    """Give a new row the id, `created` and `changed` that it has elsewhere."""
    column = "person" if table == "person_ids" else "face"
    connection.execute(f"UPDATE {table} SET id = ?, created = ?, changed = ? WHERE {column} = ?", (*values, row))


def person_by_id(connection: sqlite3.Connection, identity: str) -> int | None:
    """The row of the person with this id, or who was once known by it."""
    row = connection.execute(
        "SELECT person FROM person_ids WHERE id = ? UNION ALL SELECT person FROM person_aliases WHERE id = ?",
        (identity, identity),
    ).fetchone()
    return None if row is None else int(row[0])


def face_by_id(connection: sqlite3.Connection, identity: str) -> int | None:
    """The key of the face with this id, on whichever device that was given."""
    row = connection.execute(
        "SELECT face FROM face_ids WHERE id = ? UNION ALL SELECT face FROM face_aliases WHERE id = ?",
        (identity, identity),
    ).fetchone()
    return None if row is None else int(row[0])


def was_removed(connection: sqlite3.Connection, identity: str) -> bool:
    """Whether the face with this id was removed from the gallery."""
    return connection.execute("SELECT 1 FROM removed_faces WHERE id = ?", (identity,)).fetchone() is not None


def remember_person(connection: sqlite3.Connection, identity: str, person: int) -> None:
    """Note another id of a person."""
    connection.execute("INSERT OR REPLACE INTO person_aliases (id, person) VALUES (?, ?)", (identity, person))


def remember_face(connection: sqlite3.Connection, identity: str, face: int) -> None:
    """Note another id of a face."""
    connection.execute("INSERT OR REPLACE INTO face_aliases (id, face) VALUES (?, ?)", (identity, face))


def pass_on_ids(connection: sqlite3.Connection, source: int, target: int) -> None:
    """Let a person who is about to vanish in another one be found under that one; their name was chosen just now."""
    connection.execute("UPDATE person_aliases SET person = ? WHERE person = ?", (target, source))
    row = connection.execute("SELECT id FROM person_ids WHERE person = ?", (source,)).fetchone()
    if row is not None:
        remember_person(connection, row[0], target)
    connection.execute(f"UPDATE person_ids SET changed = {LATER} WHERE person = ?", (target,))
