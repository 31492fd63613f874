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
        The folder is missing, or is empty although photos were seen in it: a drive may be disconnected.
    """
    if not folder.is_dir():
        raise FaceallError(f"{folder}: is not a folder that exists; is the drive connected?")
    seen = store.photos.below(folder)
    if seen and not any(folder.iterdir()):
        raise FaceallError(f"{folder}: is empty; is the drive connected? Without --missing its photos are removed")
    return [photo for photo in store.photos.stored(seen) if not any(map(_may_exist, photo.paths))]


def remove_missing_photos(store: Store, folder: Path) -> Removal:
    """Remove the photos that `missing_photos` returns."""
    with store.changing():
        return store.photos.remove([photo.photo_id for photo in missing_photos(store, folder)])


def _may_exist(path: Path) -> bool:
    """Return whether a file exists, or cannot be looked for."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
