"""Ids that survive travelling: a random UUID per person and face, and when each was made and last changed.

A gallery that never meets a bundle does without them. From the first export or import on, triggers in the database
give them to everything new, whoever registers it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Literal

_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
_UUID = (  # version 4: 122 random bits
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)

_TABLES = (
    "CREATE TABLE person_ids (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,"
    " id TEXT NOT NULL UNIQUE, created TEXT NOT NULL, changed TEXT NOT NULL)",
    # ids under which other devices know somebody: enrolled there under the same name, or merged here
    "CREATE TABLE person_aliases (id TEXT PRIMARY KEY,"
    " person INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE) WITHOUT ROWID",
    "CREATE INDEX person_aliases_person ON person_aliases (person)",
    "CREATE TABLE face_ids (face INTEGER PRIMARY KEY REFERENCES faces (key) ON DELETE CASCADE,"
    " id TEXT NOT NULL UNIQUE, created TEXT NOT NULL, changed TEXT NOT NULL)",
    # ids under which other devices know a face that both had enrolled
    "CREATE TABLE face_aliases (id TEXT PRIMARY KEY,"
    " face INTEGER NOT NULL REFERENCES faces (key) ON DELETE CASCADE) WITHOUT ROWID",
    "CREATE INDEX face_aliases_face ON face_aliases (face)",
    # a face that was removed does not come back with the next bundle; nothing of it is kept but the random id
    "CREATE TABLE removed_faces (id TEXT PRIMARY KEY, removed TEXT NOT NULL) WITHOUT ROWID",
    f"INSERT INTO person_ids SELECT id, {_UUID}, {_NOW}, {_NOW} FROM people",
    f"INSERT INTO face_ids SELECT key, {_UUID}, {_NOW}, {_NOW} FROM faces",
    "CREATE TRIGGER person_ids_given AFTER INSERT ON people BEGIN"
    f" INSERT INTO person_ids VALUES (new.id, {_UUID}, {_NOW}, {_NOW}); END",
    "CREATE TRIGGER person_ids_changed AFTER UPDATE OF name ON people WHEN new.name <> old.name BEGIN"
    f" UPDATE person_ids SET changed = {_NOW} WHERE person = new.id; END",
    "CREATE TRIGGER face_ids_given AFTER INSERT ON faces BEGIN"
    f" INSERT INTO face_ids VALUES (new.key, {_UUID}, {_NOW}, {_NOW}); END",
    "CREATE TRIGGER face_ids_changed AFTER UPDATE OF person ON faces WHEN new.person IS NOT old.person BEGIN"
    f" UPDATE face_ids SET changed = {_NOW} WHERE face = new.key; END",
    "CREATE TRIGGER face_ids_removed AFTER DELETE ON face_ids BEGIN"
    f" INSERT OR REPLACE INTO removed_faces VALUES (old.id, {_NOW}); END",
    "CREATE TRIGGER face_aliases_removed AFTER DELETE ON face_aliases BEGIN"
    f" INSERT OR REPLACE INTO removed_faces VALUES (old.id, {_NOW}); END",
)


def has_ids(connection: sqlite3.Connection) -> bool:
    """Whether the gallery gives ids."""
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'person_ids'"
    return connection.execute(statement).fetchone() is not None


def give_ids(connection: sqlite3.Connection) -> None:
    """Give everybody and every face an id, now and from now on, inside the caller's transaction."""
    if not has_ids(connection):
        for statement in _TABLES:
            connection.execute(statement)


def derived_id(*parts: str) -> str:
    """A UUID that follows from what it stands for, where no random one can be stored."""
    text = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:32]}"


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
    if not has_ids(connection):
        return
    connection.execute("UPDATE person_aliases SET person = ? WHERE person = ?", (target, source))
    row = connection.execute("SELECT id FROM person_ids WHERE person = ?", (source,)).fetchone()
    if row is not None:
        remember_person(connection, row[0], target)
    connection.execute(f"UPDATE person_ids SET changed = {_NOW} WHERE person = ?", (target,))
