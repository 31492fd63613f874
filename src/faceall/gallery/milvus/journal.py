"""The journal of changes of people in Milvus: notes that say which rows a change had touched, and how they were before.

    change/NUMBER/TOKEN    kind, time, author and details of a change, and which change has undone it
    changed/NUMBER/PART    the touched rows, each as [table, key, before, after]

A change is recorded from the unit of work that makes it, before its rows are written: a change that a killed writer has
made in part can be undone, too. Several writers number their changes together: each claims the next number, and takes a
later one if another writer has claimed the same. There is no bin.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from faceall.errors import IndexBusyError, NotSupportedError, UndoError, UnknownChangeError
from faceall.gallery.identifiers import derived_id
from faceall.gallery.milvus.connection import Row
from faceall.gallery.milvus.identity import condition_begins, unquoted
from faceall.gallery.milvus.judgements import KINDS
from faceall.gallery.milvus.layout import NOTES, STAND_IN, ZEROS
from faceall.gallery.milvus.work import Work
from faceall.gallery.records import BinEntry, Change, Page, Removal

if TYPE_CHECKING:
    from faceall.gallery.milvus.store import MilvusStore

Touched = list[Any]
"""A touched row: table, key, before, after; None where there was no row or is none."""

_CHANGE, _ROWS = "change/", "changed/"
_ALIASES = "aliases"
_EXPORTED = ("kind", "made", "author", "details")
_LARGEST = 40_000  # bytes of a note; a JSON column holds 65,536
_ATTEMPTS = 50
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class MilvusJournal:
    """`JournalRecords` in the notes of Milvus."""

    keeps_bin = False

    def __init__(self, store: MilvusStore) -> None:
        self._store = store

    # -- recording --------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self, kind: str, author: str, details: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Group the changes inside as one change; inside another recording they belong to that one."""
        with self._store.changing() as work:
            if work.touched is not None:
                yield details
                return
            work.touched = []
            yield details
            found = self._touched(work)
            work.touched = None
            if found:
                self._write(work, {"kind": kind, "author": author, "details": details}, found)

    def put_aliases(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> None:
        """Record a change of the names of folders as part of the present change."""
        names = sorted(name for name in {*before, *after} if _entry(before, name) != _entry(after, name))
        with self._store.changing() as work:
            if work.touched is not None and names:
                old, new = ({name: _entry(side, name) for name in names} for side in (before, after))
                work.touched.append([_ALIASES, None, old, new])

    def _touched(self, work: Work) -> list[Touched]:
        """Return the rows that a unit of work is going to change, as far as they can be put back."""
        found: list[Touched] = []
        people, faces = (table.before() for table in (work.people, work.faces))
        for key, person in work.people.changed.items():
            if person != people.get(key):
                found.append(["people", key, people.get(key), person])
        for person_id in sorted(work.maybe_empty):
            row = work.people.one(person_id)
            if row is not None and not work.faces.where(f"person == {person_id}", _owned_by(person_id), limit=1):
                found.append(["people", person_id, row, None])
        for key, face in work.faces.changed.items():
            old = faces.get(key)
            if old is not None and face is not None and old["person"] != face["person"]:
                found.append(["faces", key, old["person"], face["person"]])
        judged = {key: row for key, row in work.notes.changed.items() if key.startswith(KINDS)}
        there = {row["key"] for row in self._store.connection.get(NOTES.name, judged, ["key"])}
        for note, row in judged.items():
            if (note in there) != (row is not None):
                found.append(["notes", note, note in there, row is not None])
        return [*_since(work, found), *(work.touched or ())]

    def _write(self, work: Work, header: dict[str, Any], touched: Sequence[Touched]) -> int:
        """Let the unit of work write a change first; return its number."""
        number, key = self._claim()
        made = time.strftime(_TIME, time.gmtime())
        groups = enumerate(_groups(touched))
        notes: dict[str, Any] = {f"{_ROWS}{number:012}/{part:06}": {"rows": group} for part, group in groups}
        notes[key] = {**header, "made": made, "undone": None}
        work.first += [{"key": key, "value": value, STAND_IN: ZEROS} for key, value in notes.items()]
        return number

    def _claim(self) -> tuple[int, str]:
        """Claim the next number; of two writers, at least one sees both claims and takes a later one."""
        connection = self._store.connection
        number = max((int(row["key"].split("/")[1]) for row in self._headers()), default=0)
        for attempt in range(_ATTEMPTS):
            number += 1 + secrets.randbelow(1 + attempt)
            key = f"{_CHANGE}{number:012}/{secrets.token_hex(8)}"
            claims = condition_begins("key", f"{_CHANGE}{number:012}/")
            connection.put(NOTES.name, [{"key": key, "value": {}, STAND_IN: ZEROS}])
            if len(connection.where(NOTES.name, claims, ["key"], strong=True)) == 1:
                return number, key
            connection.delete(NOTES.name, [key])
        raise IndexBusyError(f"{connection.name}: too many writers change people at the same time; try again")

    # -- reads ------------------------------------------------------------------------------------------------------

    def _headers(self) -> list[Row]:
        """Return the notes of all changes, by number; those of killed writers are empty."""
        found = self._store.view().notes.where(condition_begins("key", _CHANGE), _begins(_CHANGE))
        return sorted(found, key=lambda row: str(row["key"]))

    def _changes(self) -> list[Change]:
        return [_change(row) for row in self._headers() if row["value"]]

    def page(self, *, limit: int, offset: int) -> Page[Change]:
        """Return changes, the last one first."""
        found = self._changes()[::-1]
        return Page(tuple(found[offset : offset + limit]), len(found))

    def get(self, change: int) -> Change:
        """Return a change; raise UnknownChangeError if there is none."""
        return _change(self._header(change))

    def _header(self, change: int) -> Row:
        for row in self._headers():
            if row["value"] and _number(row) == change:
                return row
        raise UnknownChangeError(f"the gallery has no change {change}")

    def last(self) -> Change | None:
        """Return the last change that can be undone and is not itself an undoing."""
        found = [one for one in self._changes() if one.kind != "undo" and one.undone is None and one.undoable]
        return found[-1] if found else None

    def _rows(self, change: int) -> list[Touched]:
        start = f"{_ROWS}{change:012}/"
        notes = self._store.view().notes.where(condition_begins("key", start), _begins(start))
        return [row for note in sorted(notes, key=lambda note: str(note["key"])) for row in note["value"]["rows"]]

    def last_changes(self) -> dict[tuple[str, Any], str]:
        """Return when each face and person was changed last, by table and key."""
        made = {_number(row): str(row["value"]["made"]) for row in self._headers() if row["value"]}
        found: dict[tuple[str, Any], str] = {}
        for note in self._store.view().notes.where(condition_begins("key", _ROWS), _begins(_ROWS)):
            time_ = made.get(_number(note), "")
            for table, key, *_ in note["value"]["rows"]:
                if key is not None:
                    found[table, key] = max(time_, found.get((table, key), ""))
        return found

    # -- other galleries --------------------------------------------------------------------------------------------

    def exported(self) -> list[dict[str, Any]]:
        """Return the history as bundles hold it."""
        headers = (row for row in self._headers() if row["value"])
        return [{"id": _uuid(row), **{key: row["value"][key] for key in _EXPORTED}} for row in headers]

    def add_imported(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Add the history of another gallery; its changes cannot be undone here."""
        with self._store.changing() as work:
            headers = self._headers()
            known = {_uuid(row) for row in headers if row["value"]}
            number = max((_number(row) for row in headers), default=0)
            for change in changes:
                if change["id"] in known:
                    continue
                number += 1
                value = {key: change[key] for key in _EXPORTED} | {"undone": None, "imported": change["id"]}
                value["details"] = _shortened(change["details"])
                work.notes.put({"key": f"{_CHANGE}{number:012}/{secrets.token_hex(8)}", "value": value})

    # -- undo -------------------------------------------------------------------------------------------------------

    def undo(self, change: int, author: str) -> Change:
        """Undo a change, all or nothing; return the change that did it.

        Raises
        ------
        UnknownChangeError
            There is no such change.
        UndoError
            What it changed was changed again.
        """
        with self._store.changing() as work:
            header = self._header(change)
            wanted = _change(header)
            if not wanted.undoable:
                raise UndoError(f"change {change} was made elsewhere, before the gallery was moved; undo it there")
            if wanted.undone is not None:
                raise UndoError(f"change {change} was undone already, by change {wanted.undone}")
            work.touched = []
            self._put_back(work, change, self._rows(change))
            details = {**wanted.details, "change": change, "undone": wanted.kind}
            number = self._write(work, {"kind": "undo", "author": author, "details": details}, self._touched(work))
            undone = [{**header, "value": {**header["value"], "undone": number}}]
            undone += [
                {**row, "value": {**row["value"], "undone": None}}
                for row in self._headers()
                if row["value"].get("undone") == change
            ]
            for row in undone:
                work.notes.put(row)
        return self.get(number)

    def _put_back(self, work: Work, change: int, touched: Sequence[Touched]) -> None:
        """Put the rows of a change back, after all of them were checked."""
        faces = {key: (old, new) for table, key, old, new in touched if table == "faces"}
        present = work.faces.get(faces) if self._store.has_faces else {}
        moved: dict[int, list[int]] = defaultdict(list)
        for key, (old, new) in faces.items():
            row = present.get(key)
            if row is None or row["person"] == old:  # removed since, or never changed by a killed writer
                continue
            if row["person"] != new:
                raise self._conflict(change, "faces", key, f"face {key}")
            moved[old].append(key)
        for table, key, old, new in touched:
            if table == "people":
                self._put_person(work, change, key, old, new)
            elif table == "notes":
                work.notes.put({"key": key, "value": {}}) if old else work.notes.drop(key)
            elif table == _ALIASES:
                self._put_aliases(old, new)
        for person, keys in moved.items():
            self._store.faces.assign(keys, person or None)

    def _put_person(self, work: Work, change: int, key: int, old: Row | None, new: Row | None) -> None:
        row = work.people.one(key)
        if old is None:  # people who were added go with their last face
            work.maybe_empty.add(key)
            return
        if row is not None and row not in (old, new):
            raise self._conflict(change, "people", key, "the name of a person")
        name = unquoted(old["name"])
        if self._store.people.named(name) not in (None, key):
            raise UndoError(
                f"change {change} cannot be undone: there is another person called {name!r} now: rename that person"
                " first"
            )
        work.people.put(old)
        work.maybe_empty.discard(key)

    def _put_aliases(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Put the names of folders back that are still as the change left them."""
        before: dict[str, str | None] = self._store.setting(_ALIASES) or {}
        after = dict(before)
        for name in old:
            if _entry(before, name) == new[name]:
                after.pop(name, None)
                after |= {} if old[name] is None else {name: old[name][0]}
        self._store.put_setting(_ALIASES, after or None)
        self.put_aliases(before, after)

    def _conflict(self, change: int, table: str, key: int, what: str) -> UndoError:
        later = [one.id for one in self._changes() if one.id > change]
        touching = [one for one in later if any(row[:2] == [table, key] for row in self._rows(one))]
        hint = f" by change {touching[-1]}: undo that one first" if touching else ""
        return UndoError(f"change {change} cannot be undone: {what} was changed again{hint}")

    # -- not in Milvus ----------------------------------------------------------------------------------------------

    def discard(self, person: int) -> int:
        """Raise NotSupportedError: there is no bin."""
        raise self._refused()

    def bin(self) -> list[BinEntry]:
        """Return nothing: there is no bin."""
        return []

    def expired(self, days: int) -> list[int]:
        """Return nothing: there is no bin."""
        return []

    def erase(self, changes: Iterable[int]) -> Removal:
        """Raise NotSupportedError: there is no bin."""
        raise self._refused()

    def _refused(self) -> NotSupportedError:
        return self._store.not_supported("Milvus keeps no bin; `people remove` removes a person for good")


def _since(work: Work, found: Iterable[Touched]) -> list[Touched]:
    """Return what was touched since the last change that was recorded in the same unit of work."""
    fresh: list[Touched] = []
    for table, key, old, new in found:
        before = work.recorded.get((table, key), old)
        if before != new:
            fresh.append([table, key, before, new])
        work.recorded[table, key] = new
    return fresh


def _number(row: Row) -> int:
    return int(str(row["key"]).split("/")[1])


def _change(row: Row) -> Change:
    value = row["value"]
    undone = value["undone"]
    own = "imported" not in value
    return Change(_number(row), value["kind"], value["made"], value["author"], dict(value["details"]), undone, own)


def _uuid(row: Row) -> str:
    """Return the id of a change that is the same everywhere."""
    return str(row["value"].get("imported") or derived_id("change", str(row["key"])))


def _shortened(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return details without long values if all of them do not fit into a note."""
    if len(json.dumps(details)) <= _LARGEST:
        return dict(details)
    return {name: value for name, value in details.items() if len(json.dumps(value)) < 1_000}


def _entry(aliases: Mapping[str, str | None], name: str) -> list[str | None] | None:
    """Return the entry of a name in a list, to tell one that leads to no name from none."""
    return [aliases[name]] if name in aliases else None


def _groups(touched: Sequence[Touched]) -> list[list[Touched]]:
    """Divide rows into groups that fit into one note."""
    groups: list[list[Touched]] = [[]]
    size = 0
    for row in touched:
        length = len(json.dumps(row))
        if groups[-1] and size + length > _LARGEST:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += length
    return groups


def _begins(start: str) -> Any:
    return lambda row: str(row["key"]).startswith(start)


def _owned_by(person: int) -> Any:
    return lambda row: row["person"] == person
