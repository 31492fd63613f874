"""Photos whose files are gone: list and remove them on request."""

from __future__ import annotations

import os
from pathlib import Path

from faceall.errors import FaceallError
from faceall.gallery.records import Removal, StoredPhoto
from faceall.gallery.store import Store


def missing_photos(store: Store, folder: Path) -> list[StoredPhoto]:
    """Return the photos that were seen below a folder, and whose files are all gone; ordered by id.

    Raises
    ------
    FaceallError
        The folder is missing, or a folder is empty in which photos were seen: a drive may be disconnected.
    """
    if not folder.is_dir():
        raise FaceallError(f"{folder}: is not a folder that exists; is the drive connected?")
    photos = store.photos.stored(store.photos.below(folder))
    gone = [photo for photo in photos if not any(map(_may_exist, photo.paths))]
    for place in sorted({_existing_folder(path) for photo in gone for path in photo.paths}):
        if not any(place.iterdir()):
            raise FaceallError(f"{place}: is empty; is the drive connected? Without --missing its photos are removed")
    return gone


def remove_missing_photos(store: Store, folder: Path) -> Removal:
    """Remove the photos that `missing_photos` returns."""
    with store.changing():
        return store.photos.remove([photo.photo_id for photo in missing_photos(store, folder)])


def _existing_folder(path: Path) -> Path:
    """Return the nearest folder above a path that exists."""
    return next(folder for folder in path.parents if folder.is_dir())


def _may_exist(path: Path) -> bool:
    """Return whether a file exists, or cannot be looked for."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
