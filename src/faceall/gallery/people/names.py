"""Rename, merge and unname people, and assign faces to them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from faceall.characters import invisible, is_control
from faceall.errors import FaceallError, NameTakenError, UnknownFaceError, UnknownPersonError
from faceall.gallery.naming import MAX_NAME_LENGTH, tidy_name
from faceall.gallery.people.aliases import add_alias
from faceall.gallery.people.recording import recording
from faceall.gallery.store import Store

_SUGGESTIONS = 3


def rename_person(store: Store, old: str | int, new: str) -> None:
    """Give a person another name.

    Raises
    ------
    UnknownPersonError
        There is no such person.
    NameTakenError
        Another person has that name.
    FaceallError
        The name is empty, too long or has control characters.
    """
    name = validate_name(new)
    with recording(store, "rename", new=name) as details:
        person = find_person(store, old)
        details["old"] = store.people.names([person])[person]
        if store.people.named(name) not in (None, person):
            raise NameTakenError(f"another person is already called {name!r}; merge {old!r} into {name!r} instead")
        _remember(store, person, name)
        store.people.rename(person, name)


def merge_people(store: Store, old: Iterable[str | int], into: str | int) -> int:
    """Assign all faces of some people to another existing one, all or none.

    Returns
    -------
    int
        The number of faces.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist.
    FaceallError
        Two of them are the same person.
    """
    faces = 0
    with recording(store, "merge") as details:
        target = find_person(store, into)
        sources = {find_person(store, person): person for person in old}
        if target in sources:
            raise FaceallError(f"{sources[target]!r} cannot be merged with itself")
        names = store.people.names([*sources, target])
        for source in sources:
            _remember(store, source, names[target])
            faces += store.people.merge(source, target)
        merged = [names[source] for source in sources]
        details.update(old=merged[0] if len(merged) == 1 else merged, into=names[target], faces=faces)
    return faces


def unname_people(store: Store, people: Iterable[str | int]) -> int:
    """Remove the names of people in one transaction; their faces become unassigned.

    Returns
    -------
    int
        The number of faces.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist; nothing was changed.
    """
    faces = 0
    with recording(store, "unname") as details:
        rows = list(dict.fromkeys(find_person(store, person) for person in people))
        details["people"] = list(store.people.names(rows).values())
        for person in rows:
            _remember(store, person, None)
            keys = store.people.faces(person)
            store.faces.assign(keys, None)
            faces += len(keys)
        details["faces"] = faces
    return faces


def _remember(store: Store, person: int, name: str | None) -> None:
    """Record an alias, so that new photos in the folder with the old name get the new one; clusters have no folder."""
    old = store.people.names([person])[person]
    if person not in store.people.clusters() and old != name:
        add_alias(store, old, name)


def assign_face(store: Store, face_id: int, person: str) -> None:
    """Assign a face to a person, who is added if new.

    Raises
    ------
    UnknownFaceError
        There is no such face.
    FaceallError
        The name is empty, too long or has control characters.
    """
    name = validate_name(person)
    with recording(store, "assign", faces=1, person=name):
        if face_id not in store.faces.owners([face_id]):
            raise unknown_face(store, face_id)
        row = store.people.make(name)
        store.people.confirm([face_id], row)
        store.faces.assign([face_id], row)


def find_person(store: Store, name: str | int) -> int:
    """Return the row of a person, given by name or id.

    Raises
    ------
    UnknownPersonError
        There is no such person; the message suggests similar names.
    """
    if isinstance(name, int):
        if name not in store.people.names([name]):
            raise UnknownPersonError(f"no person in the gallery has the id {name}")
        return name
    found = store.people.named(tidy_name(name))
    if found is None:
        names = sorted(store.people.names().values())
        raise UnknownPersonError(f"no person in the gallery is called {name!r}; {suggest_names(name, names)}")
    return found


def suggest_names(name: str, names: list[str]) -> str:
    """Return the second half of the error for an unknown name: similar names, or the number of people."""
    import difflib

    found = difflib.get_close_matches(name, names, _SUGGESTIONS)
    there = "one person" if len(names) == 1 else f"{len(names)} people"
    return f"did you mean {' or '.join(map(repr, found))}?" if found else f"it has {there}"


def similar_name(store: Store, name: str) -> str | None:
    """Return the name of a person that differs from `name` only in case or form; None if there is none."""
    if store.people.named(tidy_name(name)) is not None:
        return None
    wanted = _form_free(name)
    return min((other for other in _given_names(store) if _form_free(other) == wanted), default=None)


def similar_names(store: Store) -> list[tuple[str, ...]]:
    """Return groups of names that differ only in case or form."""
    groups: dict[str, list[str]] = {}
    for name in _given_names(store):
        groups.setdefault(_form_free(name), []).append(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def _given_names(store: Store) -> list[str]:
    """Return the names of the people who are not clusters."""
    clusters = store.people.clusters()
    return [name for row, name in store.people.names().items() if row not in clusters]


def _form_free(name: str) -> str:
    """Return a name without case, width of letters, and what separates words."""
    return " ".join(re.split(r"[\s_\-\u2010-\u2015]+", unicodedata.normalize("NFKC", name).casefold())).strip()


def validate_name(name: str) -> str:
    """Check and normalise a person's name: composed (NFC), without white space around it.

    Raises
    ------
    FaceallError
        The name is empty, too long, or has a line break, another control character or an invisible one.
    """
    tidy = tidy_name(name)
    if not tidy:
        raise FaceallError("a person's name cannot be empty")
    if len(tidy) > MAX_NAME_LENGTH:
        raise FaceallError(
            f"a person's name has at most {MAX_NAME_LENGTH} characters, {tidy[:20] + '...'!r} has {len(tidy):,}"
        )
    if any(map(is_control, tidy)):
        raise FaceallError(f"a person's name is one line without control characters; {tidy[:40]!r} is not")
    if hidden := invisible(tidy):
        codes = ", ".join(f"U+{ord(tidy[place]):04X}" for place in sorted(hidden)[:3])
        shown = "".join(letter for place, letter in enumerate(tidy) if place not in hidden).strip()
        raise FaceallError(f"a person's name has no invisible characters ({codes}); leave them out: {shown[:40]!r}")
    return tidy


def unknown_face(store: Store, face_id: int) -> UnknownFaceError:
    """Return the error for a face that does not exist."""
    return UnknownFaceError(f"the gallery {store.name} has no face {face_id}")
