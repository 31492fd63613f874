"""What is in the gallery, page by page and by its ids: for programs that show it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from faceall.errors import FaceallError, UnknownFaceError
from faceall.gallery.people.names import find_person, unknown_face
from faceall.gallery.records import KnownPhoto, Page, Person, StoredFace, StoredPhoto
from faceall.gallery.store import Store

LARGEST_ID = (1 << 63) - 1
"""The largest id that a row can have."""


def page_of_people(store: Store, *, text: str | None, named: bool | None, limit: int, offset: int) -> Page[Person]:
    """People by name; `text` is looked for in their names, in capitals or not."""
    _check_page(limit, offset)
    return store.people.page(text=text, named=named, limit=limit, offset=offset)


def one_person(store: Store, person_id: int) -> Person:
    """The person of a row. Raises UnknownPersonError."""
    return store.people.stored([find_person(store, person_id)])[0]


def page_of_faces(
    store: Store, *, person: int | None, photo: int | None, nobody: bool, limit: int, offset: int
) -> Page[StoredFace]:
    """Faces by their ids; of a person, on a photo, or of nobody, where that is asked for."""
    _check_page(limit, offset)
    for number, what in ((person, "person"), (photo, "photo")):
        if number is not None:
            checked_id(number, what)
    return store.faces.page(person=person, photo=photo, nobody=nobody, limit=limit, offset=offset)


def one_face(store: Store, face_id: int) -> StoredFace:
    """The face of a key. Raises UnknownFaceError."""
    found = store.faces.stored([face_id]) if face_id in store.faces else {}
    if not found:
        raise unknown_face(store, face_id)
    return found[face_id]


def page_of_photos(store: Store, *, person: int | None, limit: int, offset: int) -> Page[StoredPhoto]:
    """Photos that show a face, by their ids; those of a person, where that is asked for."""
    _check_page(limit, offset)
    return store.photos.page(
        person=None if person is None else checked_id(person, "person"), limit=limit, offset=offset
    )


def one_photo(store: Store, photo_id: int) -> StoredPhoto:
    """The photo of a row. Raises UnknownFaceError."""
    found = store.photos.stored([checked_id(photo_id, "photo")])
    if not found:
        raise UnknownFaceError(f"the gallery has no photo {photo_id}")
    return found[0]


def photo_seen_at(store: Store, path: Path) -> StoredPhoto | None:
    """The photo that a path held when it was last seen; None where none was seen there."""
    return _photo(store, store.photos.held_by(path))


def photo_with(store: Store, digest: bytes) -> StoredPhoto | None:
    """The photo whose file has this SHA-256; None where there is none."""
    return _photo(store, store.photos.of(digest))


def _photo(store: Store, found: KnownPhoto | None) -> StoredPhoto | None:
    return None if found is None else next(iter(store.photos.stored([found.id])), None)


def paths_of_photos(store: Store, photo_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
    """Where photos were seen, the first place first; those that are not there have none."""
    wanted = {checked_id(photo, "photo") for photo in photo_ids}
    return {photo: tuple(file.path for file in store.photos.files(photo)) for photo in wanted}


def checked_id(number: int, what: str) -> int:
    """A number that a row can have. Raises UnknownFaceError for one that no row has."""
    if not 0 <= number <= LARGEST_ID:
        raise UnknownFaceError(f"the gallery has no {what} {number}")
    return number


def _check_page(limit: int, offset: int) -> None:
    for name, value in (("limit", limit), ("offset", offset)):
        if not 0 <= value <= LARGEST_ID:
            raise FaceallError(f"{name} is {value}, expected a whole number from 0")
