"""The journal of changes of people in SQLite: written by triggers (see `people_schema`), read, and undone row by row.

Undoing a change puts the rows that it touched back in reverse order, in one transaction that is a change itself. A row
that was changed again afterwards stops it: then nothing is undone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from faceall.errors import UndoError, UnknownChangeError
from faceall.gallery.embedded import bin as bins
from faceall.gallery.embedded.tables.expressions import LATER, NOW, UUID
from faceall.gallery.embedded.tables.people_schema import JOURNALED, begin_recording, end_recording, recorded_change
from faceall.gallery.records import BinEntry, Change, Page, Removal
from faceall.index import FaceIndex

_CHANGE = (
    "SELECT id, kind, made, author, details, undone, imported = 0 AND"
    " EXISTS (SELECT 1 FROM change_rows WHERE change = changes.id) FROM changes"
)
_ALIASES = "aliases"
_SETTING = "gallery.aliases"


class EmbeddedJournal:
    """`JournalRecords` in SQLite."""

    keeps_bin = True

    def __init__(self, index: FaceIndex) -> None:
        self._index = index

    @contextmanager
    def recording(self, kind: str, author: str, details: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Group the changes inside as one change; inside another recording they belong to that one."""
        with self._index.transaction() as connection:
            if recorded_change(connection) is not None:
                yield details
                return
            change = _open(connection, kind, author)
            yield details
            _close(connection, change, details)

    def page(self, *, limit: int, offset: int) -> Page[Change]:
        """Return changes, the last one first."""
        with self._index.reading() as connection:
            (total,) = connection.execute("SELECT count(*) FROM changes").fetchone()
            found = connection.execute(f"{_CHANGE} ORDER BY id DESC LIMIT ? OFFSET ?", (limit, offset)).fetchall()
        return Page(tuple(map(_change, found)), total)

    def get(self, change: int) -> Change:
        """Return a change; raise UnknownChangeError if there is none."""
        with self._index.reading() as connection:
            return _known(connection, change)

    def last(self) -> Change | None:
        """Return the last change that is no undoing and was not undone."""
        with self._index.reading() as connection:
            row = connection.execute(
                f"{_CHANGE} WHERE kind <> 'undo' AND undone IS NULL AND imported = 0"
                " AND EXISTS (SELECT 1 FROM change_rows WHERE change = changes.id) ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else _change(row)

    def undo(self, change: int, author: str) -> Change:
        """Undo a change, all or nothing; return the new change that did it.

        Raises
        ------
        UndoError
            If the change is unknown, was undone already, or comes from another device.
        """
        with self._index.transaction() as connection:
            wanted = _known(connection, change)
            if wanted.undone is not None:
                raise UndoError(f"change {change} was undone already, by change {wanted.undone}")
            if not wanted.undoable:
                raise UndoError(f"change {change} comes from another device; undo it there, and import again")
            undoing = _open(connection, "undo", author)
            _Undo(self._index, connection, wanted, undoing).run()
            connection.execute("UPDATE changes SET undone = ? WHERE id = ?", (undoing, change))
            connection.execute("UPDATE changes SET undone = NULL WHERE undone = ?", (change,))
            _close(connection, undoing, {**wanted.details, "change": change, "undone": wanted.kind}, keep=True)
            return _known(connection, undoing)

    def put_aliases(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> None:
        """Note a change of the names of folders, in the change that is being recorded."""
        with self._index.transaction() as connection:
            change = recorded_change(connection)
            names = sorted(name for name in {*before, *after} if _entry(before, name) != _entry(after, name))
            if change is not None and names:
                old, new = ({name: _entry(side, name) for name in names} for side in (before, after))
                _insert_row(connection, change, _ALIASES, None, json.dumps(old), json.dumps(new))

    def discard(self, person: int) -> int:
        """Move a person with all faces to the bin, inside a recording; return how many faces."""
        with self._index.transaction() as connection:
            change = recorded_change(connection)
            assert change is not None
            moved = bins.put_person(self._index, connection, person, change)
            for key, uuid in moved:
                _insert_row(connection, change, "bin", key, None, json.dumps({"face": key, "uuid": uuid}))
            connection.execute("DELETE FROM people WHERE id = ?", (person,))
        return len(moved)

    def bin(self) -> list[BinEntry]:
        """Return what the bin holds, the last deletion first."""
        with self._index.reading() as connection:
            return bins.entries(connection)

    def expired(self, days: int) -> list[int]:
        """Return the changes that moved people to the bin more than `days` days ago."""
        with self._index.reading() as connection:
            return bins.expired(connection, days)

    def erase(self, changes: Iterable[int]) -> Removal:
        """Erase faces in the bin for good, with the changes that name their people."""
        with self._index.transaction() as connection:
            return bins.erase(connection, list(changes))

    def add_imported(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Add the changes of a bundle to the history; they cannot be undone here."""
        with self._index.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO changes (uuid, kind, made, author, details, imported) VALUES (?, ?, ?, ?, ?, 1)",
                [(one["id"], one["kind"], one["made"], one["author"], json.dumps(one["details"])) for one in changes],
            )

    def exported(self) -> list[dict[str, Any]]:
        """Return all changes as bundles hold them, by time."""
        with self._index.reading() as connection:
            found = connection.execute("SELECT uuid, kind, made, author, details FROM changes ORDER BY made, id")
            keys = ("id", "kind", "made", "author")
            return [{**dict(zip(keys, row, strict=False)), "details": json.loads(row[4])} for row in found]


class _Undo:
    """Puts the rows of one change back."""

    def __init__(self, index: FaceIndex, connection: sqlite3.Connection, change: Change, undoing: int) -> None:
        self._index, self._connection, self._change, self._undoing = index, connection, change, undoing
        self._binned = False

    def run(self) -> None:
        rows = self._connection.execute(
            "SELECT tbl, key, before, after FROM change_rows WHERE change = ? ORDER BY id DESC", (self._change.id,)
        ).fetchall()
        for table, key, before, after in rows:
            old, new = (None if text is None else json.loads(text) for text in (before, after))
            if table == "bin":
                self._move_bin(restoring=old is None)
            elif table == _ALIASES:
                self._put_aliases(old or {}, new or {})
            else:
                self._put_row(table, key, old, new)

    def _move_bin(self, *, restoring: bool) -> None:
        """Take the faces of the change out of the bin, or put them in again; all at the first of its rows."""
        if self._binned:
            return
        self._binned = True
        connection, change = self._connection, self._change.id
        if restoring:
            moved = bins.take(self._index, connection, self._ids("after"))
            if not moved:
                raise UndoError(f"change {change} cannot be undone: its faces are not in the bin any more")
            for key, uuid in moved:
                row = json.dumps({"face": key, "uuid": uuid})
                _insert_row(connection, self._undoing, "bin", key, row, None)
            return
        for key, uuid in bins.put_faces(self._index, connection, self._ids("before"), self._undoing):
            _insert_row(connection, self._undoing, "bin", key, None, json.dumps({"face": key, "uuid": uuid}))

    def _ids(self, side: str) -> list[str]:
        """Return the ids of the faces that the change moved into the bin or out of it."""
        found = self._connection.execute(
            f"SELECT json_extract({side}, '$.uuid') FROM change_rows WHERE change = ? AND tbl = 'bin'",
            (self._change.id,),
        )
        return [row[0] for row in found]

    def _put_row(self, table: str, key: Any, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        name, columns = JOURNALED[table]
        now = self._connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {name} = ?", (key,)).fetchone()
        present = None if now is None else dict(zip(columns, now, strict=True))
        if table == "faces" and present is None:
            self._put_stale_face(key, old, new)
        elif old is None:
            self._take_row(table, key, present, new)
        elif new is None:
            self._restore_row(table, key, present, old)
        elif present is not None:
            if present != new:
                raise self._conflict(table, key)
            self._write(f"UPDATE {table} SET {_assignments(columns)} WHERE {name} = ?", [*old.values(), key], old)

    def _put_stale_face(self, key: Any, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Undo the person of a face that has become stale since; a face that was removed needs nothing."""
        if old is None or new is None:
            return
        self._connection.execute(
            "UPDATE stale_faces SET person = ? WHERE face = ? AND person IS ?", (old["person"], key, new["person"])
        )

    def _take_row(self, table: str, key: Any, present: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Remove a row that the change added; people stay while they have faces."""
        if present is None:
            return
        if table == "people":
            self._connection.execute(
                "DELETE FROM people WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM faces WHERE person = ?1)", (key,)
            )
            return
        if present != new:
            raise self._conflict(table, key)
        self._connection.execute(f"DELETE FROM {table} WHERE {JOURNALED[table][0]} = ?", (key,))

    def _restore_row(self, table: str, key: Any, present: dict[str, Any] | None, old: dict[str, Any]) -> None:
        """Add a row that the change removed, unless what it refers to was removed for good."""
        if table == "person_ids":  # a trigger has given the restored person a new id
            values = (old["id"], old["created"], key)
            self._write(f"UPDATE person_ids SET id = ?, created = ?, changed = {LATER} WHERE person = ?", values, old)
            return
        if present == old or not self._can_refer(table, old):
            return
        if present is not None:
            raise self._conflict(table, key)
        columns = ", ".join(old)
        self._write(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(old))})", list(old.values()), old)

    def _can_refer(self, table: str, old: dict[str, Any]) -> bool:
        """Return whether the person that a row belongs to is there."""
        if table in ("people", "judgements", "hidden_faces"):
            return True
        person = self._connection.execute("SELECT 1 FROM people WHERE id = ?", (old["person"],))
        return person.fetchone() is not None

    def _write(self, statement: str, values: Iterable[Any], old: Mapping[str, Any]) -> None:
        try:
            self._connection.execute(statement, tuple(values))
        except sqlite3.IntegrityError as error:
            reason = "what it refers to is not there any more"
            if self._connection.execute("SELECT 1 FROM people WHERE name = ?", (old.get("name"),)).fetchone():
                reason = f"there is another person called {old['name']!r} now: rename that person first"
            raise UndoError(f"change {self._change.id} cannot be undone: {reason}") from error

    def _conflict(self, table: str, key: Any) -> UndoError:
        row = self._connection.execute(
            "SELECT max(change) FROM change_rows WHERE tbl = ? AND key = ? AND change NOT IN (?, ?)",
            (table, key, self._change.id, self._undoing),
        ).fetchone()
        what = {"faces": f"face {key}", "people": "the name of a person"}.get(table, "a person")
        later = f" by change {row[0]}: undo that one first" if row and row[0] and row[0] > self._change.id else ""
        return UndoError(f"change {self._change.id} cannot be undone: {what} was changed again{later}")

    def _put_aliases(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Put the names of folders back that are still as the change left them."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (_SETTING,)).fetchone()
        now: dict[str, str | None] = json.loads(row[0]) if row else {}
        names = [name for name in old if _entry(now, name) == new[name]]
        before = {name: new[name] for name in names}
        for name in names:
            if old[name] is None:
                now.pop(name, None)
            else:
                now[name] = old[name][0]
        self._connection.execute("DELETE FROM meta WHERE key = ?", (_SETTING,))
        if now:
            self._connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (_SETTING, json.dumps(now)))
        after = {name: old[name] for name in names}
        _insert_row(self._connection, self._undoing, _ALIASES, None, json.dumps(before), json.dumps(after))


def _entry(aliases: Mapping[str, str | None], name: str) -> list[str | None] | None:
    """Return the entry of a name in a list, to tell one that leads to no name from none."""
    return [aliases[name]] if name in aliases else None


def _open(connection: sqlite3.Connection, kind: str, author: str) -> int:
    row = connection.execute(
        f"INSERT INTO changes (uuid, kind, made, author, details) VALUES ({UUID}, ?, {NOW}, ?, '{{}}') RETURNING id",
        (kind, author),
    ).fetchone()
    begin_recording(connection, row[0])
    return int(row[0])


def _close(connection: sqlite3.Connection, change: int, details: Mapping[str, Any], *, keep: bool = False) -> None:
    """Stop recording; a change that changed nothing is dropped."""
    end_recording(connection, change)
    touched = connection.execute("SELECT 1 FROM change_rows WHERE change = ? LIMIT 1", (change,)).fetchone()
    if touched or keep:
        connection.execute("UPDATE changes SET details = ? WHERE id = ?", (json.dumps(details), change))
    else:
        connection.execute("DELETE FROM changes WHERE id = ?", (change,))


def _insert_row(
    connection: sqlite3.Connection, change: int, table: str, key: Any, before: str | None, after: str | None
) -> None:
    connection.execute(
        "INSERT INTO change_rows (change, tbl, key, before, after) VALUES (?, ?, ?, ?, ?)",
        (change, table, key, before, after),
    )


def _known(connection: sqlite3.Connection, change: int) -> Change:
    row = None
    if 0 <= change < 1 << 63:
        row = connection.execute(f"{_CHANGE} WHERE id = ?", (change,)).fetchone()
    if row is None:
        raise UnknownChangeError(f"the gallery has no change {change}")
    return _change(row)


def _change(row: Any) -> Change:
    number, kind, made, author, details, undone, undoable = row
    return Change(number, kind, made, author, json.loads(details), undone, bool(undoable))


def _assignments(columns: Iterable[str]) -> str:
    return ", ".join(f"{column} = ?" for column in columns)
