"""Remove people, faces, photos and uploaded files permanently."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from faceall.errors import UnknownFaceError
from faceall.gallery.browse import stored_photo
from faceall.gallery.people.aliases import forget_aliases
from faceall.gallery.people.names import find_person, unknown_face
from faceall.gallery.records import Removal
from faceall.gallery.store import Store
from faceall.models import sha256_of

UPLOADS = "uploads"
"""Name of the folder in the gallery's folder that has the uploaded files."""

UPLOAD = re.compile(r"[0-9a-f]{64}")
"""Name of the folder of one upload: its SHA-256."""


def remove_person(store: Store, person: int | str) -> Removal:
    """Remove a person, given by id or name, and all their faces. Raises UnknownPersonError."""
    with store.changing():
        row = find_person(store, person)
        forget_aliases(store, {store.people.names([row])[row]})
        return store.people.remove(row)


def remove_faces(store: Store, faces: Iterable[int]) -> Removal:
    """Remove faces in one transaction, and photos that have no face left.

    Raises
    ------
    UnknownFaceError
        If there is no such face.
    """
    chosen = list(dict.fromkeys(faces))
    with store.changing():
        there = store.faces.owners(chosen)
        for face in chosen:
            if face not in there:
                raise unknown_face(store, face)
        return store.faces.remove(chosen)


def remove_photo(store: Store, photo_id: int) -> Removal:
    """Remove a photo and all its faces. Raises UnknownFaceError."""
    with store.changing():
        return store.photos.remove([stored_photo(store, photo_id).photo_id])


def remove_photos_below(store: Store, path: Path) -> Removal:
    """Remove the photo that was seen at a path, or all photos below a folder.

    Raises
    ------
    UnknownFaceError
        If no photo was seen there.
    """
    with store.changing():
        photos = store.photos.below(path)
        if not photos:
            raise UnknownFaceError(f"{path}: no photo of the gallery {store.name} was seen there")
        return store.photos.remove(photos)


def remove_uploads(folder: Path, paths: Iterable[Path]) -> None:
    """Remove the files of uploaded photos, `uploads/SHA-256/NAME` in the gallery's folder.

    The gallery may have been moved since the paths were recorded, so only the part from `uploads` on is used. A file is
    removed only if it is in the `uploads` of this gallery and its content has the SHA-256 of its folder.

    Parameters
    ----------
    folder : Path
        The gallery's folder.
    paths : iterable of Path
        Where the removed photos were seen.
    """
    uploads = (folder / UPLOADS).resolve()
    for path in paths:
        parts = _below_uploads(path)
        if parts is None:
            continue
        file = uploads.joinpath(*parts)
        if uploads not in file.resolve().parents or not file.is_file() or sha256_of(file) != parts[0]:
            continue
        file.unlink(missing_ok=True)
        for above in file.relative_to(uploads).parents[:-1]:
            with contextlib.suppress(OSError):  # it has other files
                (uploads / above).rmdir()


def _below_uploads(path: Path) -> tuple[str, ...] | None:
    """Return the parts of a path from the SHA-256 on; None if it is not the path of an upload."""
    parts = path.parts
    for place in range(len(parts) - 2, 0, -1):
        if parts[place - 1] == UPLOADS and UPLOAD.fullmatch(parts[place]):
            return None if ".." in parts[place:] else parts[place:]
    return None


def finish_removal(store: Store, removal: Removal) -> Removal:
    """Remove uploaded files and remaining traces on the disk; return the removal with its receipt."""
    if removal.paths:
        remove_uploads(store.folder, removal.paths)
    return store.tidied(removal)
