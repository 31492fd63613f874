"""A copy of a gallery in a temporary folder, for exports of a gallery in Milvus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from faceall.gallery.addresses import is_address
from faceall.gallery.maintenance.move import copy_gallery
from faceall.gallery.opening import open_store
from faceall.gallery.people.names import find_person
from faceall.gallery.store import Store


@contextmanager
def in_folder(store: Store, people: Sequence[str] | None = None) -> Iterator[Store]:
    """Yield a store in a folder: the given one, or a temporary copy of one in Milvus.

    Parameters
    ----------
    store : Store
        The gallery.
    people : sequence of str, optional
        Copy only the photos that show one of these people.

    Raises
    ------
    UnknownPersonError
        One of the people does not exist.
    IndexFileError
        The gallery cannot be read, or the folder cannot be written.
    """
    if not is_address(store.name):
        yield store
        return
    digests = None if people is None else _digests(store, people)
    with tempfile.TemporaryDirectory(prefix="faceall-") as folder:
        copy = open_store(Path(folder) / "gallery")
        try:
            copy_gallery(store, copy, digests)
            yield copy
        finally:
            copy.close(save=False)


def _digests(store: Store, people: Sequence[str]) -> list[bytes]:
    """Return the SHA-256 of the photos that show some people."""
    with store.reading():
        faces = [
            key
            for keys in store.people.faces_of([find_person(store, name) for name in people]).values()
            for key in keys
        ]
        photos = {face.photo_id for face in store.faces.stored(faces).values()}
        return sorted(store.photos.digest(photo) for photo in photos)
