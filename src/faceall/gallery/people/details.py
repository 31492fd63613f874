"""What is noted of people besides their names: hidden, cover photo, note, birth date; and how well faces fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Literal, get_args

import numpy as np

from faceall.errors import ArgumentError, UnknownFaceError
from faceall.gallery.people.clustering.agreement import sample
from faceall.gallery.people.names import find_person, unknown_face
from faceall.gallery.people.recording import recording
from faceall.gallery.records import Person, PersonDetails
from faceall.gallery.records.people import MAX_NOTE
from faceall.gallery.store import Store

Sort = Literal["name", "photos", "newest", "fit"]
"""An order of people: by name, most photos, last registered, or faces that do not fit first."""


def hide_people(store: Store, people: Iterable[str | int], *, hidden: bool) -> int:
    """Hide people, or show them again, all or none; return how many were changed."""
    changed = 0
    with recording(store, "hide" if hidden else "show") as details:
        rows = list(dict.fromkeys(find_person(store, person) for person in people))
        details["people"] = list(store.people.names(rows).values())
        for row in rows:
            before = store.people.details(row)
            if before.hidden != hidden:
                store.people.put_details(row, replace(before, hidden=hidden))
                changed += 1
    return changed


def hide_faces(store: Store, faces: Iterable[int], *, hidden: bool) -> int:
    """Hide faces, or show them again, all or none; return how many were changed."""
    with recording(store, "hide-faces" if hidden else "show-faces") as details:
        keys = list(dict.fromkeys(faces))
        known = store.faces.owners(keys)
        for key in keys:
            if key not in known:
                raise unknown_face(store, key)
        details["faces"] = store.faces.set_hidden(keys, hidden=hidden)
    return int(details["faces"])


def set_details(
    store: Store, person: str | int, *, note: str | None, born: str | None, cover: int | None
) -> PersonDetails:
    """Set the note, birth date or cover of a person; None keeps it, an empty text or -1 removes it.

    Raises
    ------
    ArgumentError
        If the note is too long or not valid Unicode, or the date is not YYYY-MM-DD.
    UnknownFaceError
        If the cover is not a face of the person.
    """
    with recording(store, "details") as details:
        row = find_person(store, person)
        details["person"] = store.people.names([row])[row]
        found = store.people.details(row)
        if note is not None:
            if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in note):
                raise ArgumentError("a note holds characters that are not valid Unicode text")
            if len(note) > MAX_NOTE:
                raise ArgumentError(f"a note has at most {MAX_NOTE:,} characters, this one has {len(note):,}")
            found = replace(found, note=note.strip() or None)
        if born is not None:
            found = replace(found, born=checked_date(born, "born") if born else None)
        if cover is not None:
            if cover >= 0 and store.faces.owners([cover]).get(cover, 0) != row:
                raise UnknownFaceError(f"face {cover} is not a face of {person!r}; faceall people list NAME lists them")
            found = replace(found, cover=cover if cover >= 0 else None)
        store.people.put_details(row, found)
    return found


def checked_date(text: str, what: str) -> str:
    """Return a date as YYYY-MM-DD.

    Raises
    ------
    ArgumentError
        The text is not such a date.
    """
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ArgumentError(f"{what} is {text[:40]!r}, expected a date such as 2019-05-31") from error


def sorted_people(store: Store, sort: Sort, *, hidden: bool) -> list[Person]:
    """Return people in an order; `hidden` chooses those who are hidden instead of the others.

    Raises
    ------
    ArgumentError
        If `sort` is no known order.
    """
    if sort not in get_args(Sort):
        raise ArgumentError(f"sort is {sort!r}, expected one of {', '.join(get_args(Sort))}")
    with store.reading():
        hides = store.people.hidden()
        people = [person for person in store.people.listed() if (person.id in hides) == hidden]
        if sort == "name":
            people.sort(key=lambda person: (not person.named, 0 if person.named else -person.faces))
        elif sort == "photos":
            people.sort(key=lambda person: -person.photos)
        elif sort == "newest":
            people.sort(key=lambda person: -max(store.people.faces(person.id), default=0))
        elif sort == "fit":
            worst = {person.id: max((d for _, d in fit_of(store, person.id)), default=0.0) for person in people}
            people.sort(key=lambda person: -worst[person.id])
    return people


def fit_of(store: Store, row: int) -> list[tuple[int, float]]:
    """Return the faces of a person with the mean squared distance of each to the others, the worst first.

    Large people are sampled.
    """
    keys = sample(store.people.faces(row))
    if len(keys) < 2:
        return [(key, 0.0) for key in keys]
    vectors = store.faces.vectors(keys)
    similar = (vectors @ vectors.sum(axis=0) - 1) / (len(keys) - 1)
    distances = np.maximum(2 - 2 * similar, 0)
    order = np.argsort(-distances, kind="stable")
    return [(keys[number], float(distances[number])) for number in order]
