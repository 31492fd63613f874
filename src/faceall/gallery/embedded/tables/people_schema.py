"""The tables of corrections: the journal of changes, what users said about faces and people, details, the bin.

They are the third format of a gallery (see `migrations`). While a change of people is recorded, temporary triggers copy
every row that it touches into `change_rows`, in the same transaction.
"""

from __future__ import annotations

import sqlite3

JOURNALED = {
    "people": ("id", ("id", "name")),
    "person_ids": ("person", ("person", "id", "created", "changed")),
    "person_aliases": ("id", ("id", "person")),
    "clusters": ("person", ("person",)),
    "person_details": ("person", ("person", "hidden", "cover", "note", "born")),
    "hidden_faces": ("face", ("face",)),
    "judgements": ("pair", ("pair", "subject", "person", "same", "made")),
    "faces": ("key", ("key", "person")),
    "stale_faces": ("id", ("id", "person")),
}
"""Table -> its key and the columns that the journal keeps. The order is that in which rows are put back."""

ONLY_UPDATES = frozenset({"faces", "stale_faces"})
"""Tables whose new and removed rows are not changes of people; the bin keeps the faces that it holds itself."""


def begin_recording(connection: sqlite3.Connection, change: int) -> None:
    """Copy rows that are touched from now on into the journal, inside a transaction; a rollback ends it, too."""
    connection.execute(f"CREATE TEMP TABLE recording AS SELECT {int(change)} AS change")
    for name, rest in _triggers(change):
        connection.execute(f"CREATE TEMP TRIGGER {name} {rest}")


def end_recording(connection: sqlite3.Connection, change: int) -> None:
    """Stop copying rows."""
    for name, _ in _triggers(change):
        connection.execute(f"DROP TRIGGER temp.{name}")
    connection.execute("DROP TABLE temp.recording")


def recorded_change(connection: sqlite3.Connection) -> int | None:
    """Return the change that is being recorded."""
    if not connection.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'recording'").fetchone():
        return None
    return int(connection.execute("SELECT change FROM temp.recording").fetchone()[0])


def _triggers(change: int) -> list[tuple[str, str]]:
    """Return name and definition of each trigger that fills the journal."""
    made = []
    for table, (key, columns) in JOURNALED.items():
        for event in ("INSERT", "UPDATE", "DELETE"):
            if table in ONLY_UPDATES and event != "UPDATE":
                continue
            if table == "person_ids" and event != "DELETE":
                continue  # a new id comes with its person, and the time of a change is no correction
            before = "NULL" if event == "INSERT" else _object("old", columns)
            after = "NULL" if event == "DELETE" else _object("new", columns)
            side = "old" if event == "DELETE" else "new"
            different = " OR ".join(f"new.{name} IS NOT old.{name}" for name in columns)
            when = f" WHEN {different}" if event == "UPDATE" else ""
            definition = (
                f"AFTER {event} ON main.{table}{when} BEGIN INSERT INTO change_rows (change, tbl, key, before, after)"
                f" VALUES ({int(change)}, '{table}', {side}.{key}, {before}, {after}); END"
            )
            made.append((f"journal_{table}_{event.lower()}", definition))
    return made


def _object(side: str, columns: tuple[str, ...]) -> str:
    return f"json_object({', '.join(f'{name!r}, {side}.{name}' for name in columns)})"


def _keep_refusals(connection: sqlite3.Connection) -> None:
    """Turn the rows of `refusals` into judgements, which survive a change of the model."""
    connection.execute(
        "INSERT OR IGNORE INTO judgements (pair, subject, person, same, made)"
        " SELECT f.id || ' ' || p.id, f.id, p.id, 0, strftime('%Y-%m-%dT%H:%M:%SZ', 'now') FROM refusals r"
        " JOIN face_ids f ON f.face = r.face JOIN person_ids p ON p.person = r.person"
    )
    connection.execute("DROP TABLE refusals")


STEPS = (
    # a change of people: when, the author, and what it was, as JSON; `undone` is the change that took it back
    "CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " made TEXT NOT NULL, author TEXT NOT NULL, details TEXT NOT NULL, imported INTEGER NOT NULL DEFAULT 0,"
    " undone INTEGER)",
    # the rows that it touched, in order: NULL before for a new row, NULL after for a removed one
    "CREATE TABLE change_rows (id INTEGER PRIMARY KEY, change INTEGER NOT NULL REFERENCES changes (id)"
    " ON DELETE CASCADE, tbl TEXT NOT NULL, key, before TEXT, after TEXT)",
    "CREATE INDEX change_rows_change ON change_rows (change)",
    "CREATE INDEX change_rows_key ON change_rows (tbl, key)",
    # what users said: a face (or a person) is, or is not, a person; by the ids that are the same on every device
    "CREATE TABLE judgements (pair TEXT PRIMARY KEY, subject TEXT NOT NULL, person TEXT NOT NULL,"
    " same INTEGER NOT NULL, made TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX judgements_subject ON judgements (subject)",
    "CREATE TABLE person_details (person INTEGER PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,"
    " hidden INTEGER NOT NULL DEFAULT 0, cover INTEGER REFERENCES faces (key) ON DELETE SET NULL, note TEXT,"
    " born TEXT)",
    # faces that are not shown, by their ids: a change of the model replaces the rows of some faces
    "CREATE TABLE hidden_faces (face TEXT PRIMARY KEY) WITHOUT ROWID",
    # faces of deleted people, with their vectors, until they are restored or erased; `face` is NULL for a stale one
    "CREATE TABLE bin_faces (id INTEGER PRIMARY KEY, change INTEGER NOT NULL REFERENCES changes (id),"
    " photo INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE, person INTEGER NOT NULL,"
    " is_primary INTEGER NOT NULL, x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL,"
    " score REAL NOT NULL, landmarks BLOB NOT NULL, jpeg BLOB, model TEXT NOT NULL, vector BLOB NOT NULL,"
    " uuid TEXT, created TEXT, changed TEXT, face INTEGER)",
    "CREATE INDEX bin_faces_change ON bin_faces (change)",
    _keep_refusals,
)
"""The steps from the second format to the third."""

_LATE = {
    "changes": "id, uuid, kind, made, author, details, imported, undone",
    "change_rows": "id, change, tbl, key, before, after",
    "person_details": "person, hidden, cover, note, born",
    "hidden_faces": "face",
    "bin_faces": "id, change, photo, person, x0, y0, x1, y1, uuid",
}


def show(connection: sqlite3.Connection) -> None:
    """Show a gallery of the second format as one of the third; earlier ones were shown as the second already."""
    for name, columns in _LATE.items():
        connection.execute(f"CREATE TABLE temp.{name} ({columns})")
    connection.execute(
        "CREATE VIEW temp.judgements AS SELECT f.id || ' ' || p.id AS pair, f.id AS subject, p.id AS person,"
        " 0 AS same, '1970-01-01T00:00:00Z' AS made FROM refusals r"
        " JOIN face_ids f ON f.face = r.face JOIN person_ids p ON p.person = r.person"
    )
