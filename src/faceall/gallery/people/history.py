"""The history of changes of people: who changed what, undo, and the bin of deleted people."""

from __future__ import annotations

from typing import Any

from faceall.arguments import checked
from faceall.errors import ArgumentError, NotSupportedError, UndoError, UnknownPersonError
from faceall.gallery.browse import check_page
from faceall.gallery.naming import tidy_name
from faceall.gallery.people.aliases import forget_aliases
from faceall.gallery.people.names import find_person, suggest_names
from faceall.gallery.people.recording import author, recording
from faceall.gallery.records import BinEntry, Change, Page, Removal
from faceall.gallery.store import Store

BIN_DAYS = 30
"""How many days deleted people stay in the bin by default."""

_KEY = "bin_days"


def history(store: Store, *, limit: int, offset: int) -> Page[Change]:
    """Return changes, the last one first."""
    check_page(limit, offset)
    return store.journal.page(limit=limit, offset=offset)


def undo(store: Store, change: int | None) -> Change:
    """Undo a change, by default the last one that is no undoing; return the new change.

    Raises
    ------
    UndoError
        If there is nothing to undo, or the change cannot be undone.
    """
    if change is None:
        last = store.journal.last()
        if last is None:
            raise UndoError("there is nothing to undo")
        change = last.id
    return store.journal.undo(change, author())


def discard_person(store: Store, person: str | int) -> int:
    """Move a person with all faces to the bin; return how many faces."""
    with recording(store, "discard") as details:
        row = find_person(store, person)
        details["person"] = store.people.names([row])[row]
        details["faces"] = store.journal.discard(row)
        return int(details["faces"])


def restore_person(store: Store, name: str) -> Change:
    """Bring a person back from the bin, the last one deleted under that name."""
    return undo(store, _entry(store, name).change)


def erase_from_bin(store: Store, names: list[str] | None) -> Removal:
    """Erase people in the bin for good: those with some names, or all."""
    with store.changing():
        if names is None:
            wanted = [entry.change for entry in store.journal.bin()]
        else:
            tidy = {_entry(store, name).person for name in names}
            wanted = [entry.change for entry in store.journal.bin() if entry.person in tidy]
        return _erase(store, wanted)


def erase_expired(store: Store) -> Removal | None:
    """Erase what has been in the bin for longer than the gallery keeps it; None if there is nothing."""
    days = bin_days(store)
    old = [] if days is None else store.journal.expired(days)
    if not old:
        return None
    with store.changing():
        return _erase(store, old)


def _erase(store: Store, changes: list[int]) -> Removal:
    """Erase what some changes moved to the bin, and the names of folders that led to these people."""
    names = {entry.person for entry in store.journal.bin() if entry.change in changes}
    forget_aliases(store, names - set(store.people.names().values()))
    return store.journal.erase(changes)


def bin_days(store: Store) -> int | None:
    """Return how many days the gallery keeps deleted people; None if it has no bin."""
    if not store.journal.keeps_bin:
        return None
    values = store.setting(_KEY)
    days = values.get("days") if isinstance(values, dict) else None
    return days if isinstance(days, int) and days >= 0 else BIN_DAYS


def set_bin_days(store: Store, days: int) -> None:
    """Set how many days the gallery keeps deleted people.

    Raises
    ------
    ArgumentError
        The number is not 0 to 36,500.
    NotSupportedError
        The gallery has no bin.
    """
    if not 0 <= days <= 36_500:
        raise ArgumentError(f"days is {days}, expected 0 to 36500")
    if not store.journal.keeps_bin:
        raise NotSupportedError(f"{store.name}: Milvus keeps no bin, people are removed for good")
    store.put_setting(_KEY, {"days": days})


def _entry(store: Store, name: str) -> BinEntry:
    """Return what the bin holds of a person."""
    found = store.journal.bin()
    for entry in found:
        if entry.person == tidy_name(name):
            return entry
    raise UnknownPersonError(
        f"no one in the bin is called {name!r}; {suggest_names(name, sorted(entry.person for entry in found))}"
    )


@checked
def describe_change(change: Change) -> str:
    """Return what a change did, as one line."""
    if change.kind == "undo":
        number = change.details.get("change")
        return f"undid change {number}: {_text(str(change.details.get('undone')), change.details)}"
    return _text(change.kind, change.details)


def _text(kind: str, details: dict[str, Any]) -> str:
    template = _TEXTS.get(kind, kind)
    values = {key: repr(value) if isinstance(value, str) else value for key, value in details.items()}
    values = {key: ", ".join(map(repr, value)) if isinstance(value, list) else value for key, value in values.items()}
    if "faces" in values:
        values["faces"] = f"{values['faces']} {'face' if values['faces'] == 1 else 'faces'}"
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError):  # written by another version
        return kind


_TEXTS = {
    "rename": "renamed {old} to {new}",
    "merge": "merged {old} into {into} ({faces})",
    "unname": "removed the name of {people} ({faces})",
    "split": "moved {faces} of {person} to {to}",
    "assign": "assigned {faces} to {person}",
    "unassign": "removed the name of {faces}",
    "cluster": "grouped {faces}",
    "discard": "moved {person} to the bin ({faces})",
    "hide": "hid {people}",
    "show": "showed {people} again",
    "hide-faces": "hid {faces}",
    "show-faces": "showed {faces} again",
    "details": "changed the details of {person}",
    "same": "answered that {faces} {who} {person}",
    "different": "answered that {first} and {second} are different people",
}
