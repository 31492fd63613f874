"""Write faces into folders: one per person or cluster, one per unassigned face."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from faceall.errors import FaceallError
from faceall.files import refuse_gallery
from faceall.gallery.records import StoredFace

_UNFIT = re.compile(r'[\x00-\x1f<>:"/\\|?*]')  # not allowed on some file systems


def write_folders(
    faces: Iterable[StoredFace],
    directory: Path,
    *,
    thumbnail: Callable[[int], bytes],
    content: Callable[[StoredFace], bytes | None] | None,
    min_faces: int = 1,
) -> int:
    """Write every face into the folder of its person.

    Parameters
    ----------
    faces : iterable of StoredFace
        The faces.
    directory : Path
        Is created; must be empty if it exists.
    thumbnail : callable
        Returns the JPEG of a face by its id.
    content : callable or None
        Returns the registered photo of a face, None if it no longer exists. Without it thumbnails are written.
    min_faces : int
        People with fewer faces, and with 2 or more also faces without a person, get no folder.

    Returns
    -------
    int
        The number of folders.

    Raises
    ------
    FaceallError
        The directory is not empty or is part of a gallery, or a folder or file cannot be written.
    """
    names: dict[str, str | None] = {}  # folder -> person
    try:
        if directory.is_dir() and any(directory.iterdir()):
            raise FaceallError(f"{directory}: is not empty; give a new folder")
        refuse_gallery(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for face in _of_people_with(min_faces, faces):
            folder = directory / _folder_of(face, names)
            folder.mkdir(exist_ok=True)
            _write(face, folder, thumbnail, None if content is None else content(face))
    except OSError as error:
        raise FaceallError(f"{directory}: cannot be written ({error.strerror or error})") from error
    return len(names)


def _of_people_with(least: int, faces: Iterable[StoredFace]) -> Iterable[StoredFace]:
    """Return the faces of people who have at least that many."""
    if least <= 1:
        return faces
    listed = list(faces)
    counts = Counter(face.person for face in listed if face.person is not None)
    return [face for face in listed if face.person is not None and counts[face.person] >= least]


def _folder_of(face: StoredFace, names: dict[str, str | None]) -> str:
    """Return the name of a person's folder, with a number if another person's folder has that name."""
    if face.person is None:
        name = f"alone {face.face_id}"
        names[name] = None
        return name
    plain = _fit(face.person)
    name, number = plain, 2
    while names.setdefault(name, face.person) != face.person:
        name, number = f"{plain} ({number})", number + 1
    return name


def _fit(text: str) -> str:
    """Turn a text into a valid name of a file or folder: not empty, not "." or "..", not hidden."""
    return _UNFIT.sub("_", text).strip(". ")[:100] or "_"


def _write(face: StoredFace, folder: Path, thumbnail: Callable[[int], bytes], photo: bytes | None) -> None:
    stem, suffix = os.path.splitext(face.path.name)
    if photo is not None:
        (folder / f"{_fit(stem)}-{face.face_id}{suffix}").write_bytes(photo)
    else:
        (folder / f"{_fit(stem)}-{face.face_id}.jpg").write_bytes(thumbnail(face.face_id))
