"""Checks of ids and pages that the parts of a gallery share."""

from __future__ import annotations

from faceall.errors import FaceallError, UnknownFaceError
from faceall.gallery.records import StoredPhoto
from faceall.gallery.store import Store

LARGEST_ID = (1 << 63) - 1
"""The largest id that a row can have."""


def stored_photo(store: Store, photo_id: int) -> StoredPhoto:
    """Return the photo with an id.

    Raises
    ------
    UnknownFaceError
        If there is no such photo.
    """
    found = store.photos.stored([checked_id(photo_id, "photo")])
    if not found:
        raise UnknownFaceError(f"the gallery has no photo {photo_id}")
    return found[0]


def checked_id(number: int, what: str) -> int:
    """Return an id that a row can have.

    Raises
    ------
    UnknownFaceError
        If no row can have the id.
    """
    if not 0 <= number <= LARGEST_ID:
        raise UnknownFaceError(f"the gallery has no {what} {number}")
    return number


def check_page(limit: int, offset: int) -> None:
    """Raise FaceallError for a limit or offset that is negative or too large."""
    for name, value in (("limit", limit), ("offset", offset)):
        if not 0 <= value <= LARGEST_ID:
            raise FaceallError(f"{name} is {value}, expected a whole number from 0")
