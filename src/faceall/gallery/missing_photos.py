"""Photos whose files are gone: list and remove them on request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from faceall.errors import FaceallError
from faceall.gallery.records import Removal, StoredPhoto
from faceall.gallery.store import Store


def missing_photos(store: Store, folder: Path) -> list[StoredPhoto]:
    """Return the photos that were seen below a folder, and whose files are all gone; ordered by id.

    Raises
    ------
    FaceallError
        The folder is missing, or a folder in which photos were seen is empty or cannot be listed: a drive may be
        disconnected.
    """
    gone = photos_without_file(store, folder)
    if not folder.is_dir():  # asked after the files were looked for: a drive may be disconnected meanwhile
        raise FaceallError(f"{folder}: is not a folder that exists; is the drive connected?")
    for place, reason in doubtful_folders(gone).items():
        raise FaceallError(f"{place}: {reason}; is the drive connected? Without --missing its photos are removed")
    return gone


def photos_without_file(store: Store, folder: Path) -> list[StoredPhoto]:
    """Return the photos that were seen below a folder, and of which no file is found now; ordered by id."""
    photos = store.photos.stored(store.photos.below(folder))
    return [photo for photo in photos if not any(map(_may_exist, photo.paths))]


def doubtful_folders(photos: Iterable[StoredPhoto]) -> dict[Path, str]:
    """Return the folders whose missing photos may be on a drive that is not connected, and why; sorted.

    These are empty, as a mount point without its drive is, or cannot be listed.
    """
    places = {existing_folder(path) for photo in photos for path in photo.paths}
    reasons = ((place, _why_doubtful(place)) for place in sorted(places))
    return {place: reason for place, reason in reasons if reason is not None}


def existing_folder(path: Path) -> Path:
    """Return the nearest folder above a path that exists."""
    return next(folder for folder in path.parents if folder.is_dir())


def remove_missing_photos(store: Store, folder: Path) -> Removal:
    """Remove the photos that `missing_photos` returns."""
    with store.changing():
        return store.photos.remove([photo.photo_id for photo in missing_photos(store, folder)])


def _why_doubtful(folder: Path) -> str | None:
    try:
        with os.scandir(folder) as entries:
            return None if any(entries) else "is empty"
    except OSError as error:
        return f"cannot be listed ({error.strerror})"


def _may_exist(path: Path) -> bool:
    """Return whether a file exists, or cannot be looked for."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
