"""The changes that a person makes to who is in the gallery by hand."""

from __future__ import annotations

from collections.abc import Iterable

from faceall.errors import FaceallError, NameTakenError, UnknownFaceError, UnknownPersonError
from faceall.gallery.people.aliases import add_alias
from faceall.gallery.registration.naming import MAX_NAME_LENGTH, is_control, tidy_name
from faceall.gallery.store import Store

_SUGGESTIONS = 3


def rename_person(store: Store, old: str | int, new: str) -> None:
    """Give a person another name, which nobody else has."""
    name = checked_name(new)
    with store.changing():
        person = find_person(store, old)
        if store.people.named(name) not in (None, person):
            raise NameTakenError(f"there is a person called {name!r} already: merge {old!r} into {name!r} instead")
        _remember(store, person, name)
        store.people.rename(person, name)


def merge_people(store: Store, old: str | int, into: str | int) -> int:
    """File every face of one person under another who exists; returns how many faces that were."""
    with store.changing():
        source, target = find_person(store, old), find_person(store, into)
        if source == target:
            raise FaceallError(f"{old!r} cannot be merged with itself")
        _remember(store, source, store.people.names([target])[target])
        return store.people.merge(source, target)


def unname_people(store: Store, people: Iterable[str | int]) -> int:
    """Take the names of people off, all or none; their faces stay, unassigned. Returns how many faces that were."""
    faces = 0
    with store.changing():
        for person in dict.fromkeys(find_person(store, person) for person in people):
            _remember(store, person, None)
            keys = store.people.faces(person)
            store.faces.file(keys, None)
            faces += len(keys)
    return faces


def _remember(store: Store, person: int, name: str | None) -> None:
    """Let new photos of the folder with a person's name go to another name; clusters have no folder."""
    old = store.people.names([person])[person]
    if person not in store.people.clusters() and old != name:
        add_alias(store, old, name)


def assign_face(store: Store, face_id: int, person: str) -> None:
    """File one face under a person, who is made if there is none of that name."""
    name = checked_name(person)
    with store.changing():
        if face_id not in store.faces.owners([face_id]):
            raise unknown_face(store, face_id)
        store.faces.file([face_id], store.people.make(name))


def find_person(store: Store, name: str | int) -> int:
    """The row of a person, given by name or id, who has to be there; the error suggests names that are alike."""
    if isinstance(name, int):
        if name not in store.people.names([name]):
            raise UnknownPersonError(f"nobody in the gallery has the id {name}")
        return name
    found = store.people.named(tidy_name(name))
    if found is None:
        names = sorted(store.people.names().values())
        raise UnknownPersonError(f"nobody in the gallery is called {name!r}; {alike(name, names)}")
    return found


def alike(name: str, names: list[str]) -> str:
    """What to say to somebody who has given a name that is none of `names`."""
    import difflib

    found = difflib.get_close_matches(name, names, _SUGGESTIONS)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else f"there are {len(names)} people in it"


def checked_name(name: str) -> str:
    """A person's name without white space around it, composed (NFC) as all names are.

    Raises FaceallError for one that is empty, too long, or holds a line break or another control character.
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
    return tidy


def unknown_face(store: Store, face_id: int) -> UnknownFaceError:
    """The error for a face that is not there."""
    return UnknownFaceError(f"the gallery {store.name} has no face {face_id}")
