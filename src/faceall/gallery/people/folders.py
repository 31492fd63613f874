"""Faces sorted into folders on the disk: one per person or cluster, one per face that is alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from faceall.errors import FaceallError
from faceall.files import refuse_gallery
from faceall.gallery.records import StoredFace

_UNFIT = re.compile(r'[\x00-\x1f<>:"/\\|?*]')  # what some file system does not take


def write_folders(
    faces: Iterable[StoredFace],
    directory: Path,
    *,
    thumbnail: Callable[[int], bytes],
    content: Callable[[StoredFace], bytes | None] | None,
) -> int:
    """Write every face into the folder of its person; returns how many folders that made.

    directory  is made; one that holds something is refused
    thumbnail  the JPEG of a face, by its id
    content    the photo of a face as it was registered, None where it is gone; without it thumbnails are written

    Raises FaceallError where a folder or file cannot be written.
    """
    names: dict[str, str | None] = {}  # folder -> person
    try:
        if directory.is_dir() and any(directory.iterdir()):
            raise FaceallError(f"{directory}: is not empty; name a new folder")
        refuse_gallery(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for face in faces:
            folder = directory / _folder_of(face, names)
            folder.mkdir(exist_ok=True)
            _write(face, folder, thumbnail, None if content is None else content(face))
    except OSError as error:
        raise FaceallError(f"{directory}: cannot be written ({error.strerror or error})") from error
    return len(names)


def _folder_of(face: StoredFace, names: dict[str, str | None]) -> str:
    """The name of a person's folder, told apart from that of others whose names look the same on the disk."""
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
    """A text as the name of a file or folder; never "", "." or "..", never hidden."""
    return _UNFIT.sub("_", text).strip(". ")[:100] or "_"


def _write(face: StoredFace, folder: Path, thumbnail: Callable[[int], bytes], photo: bytes | None) -> None:
    stem, suffix = os.path.splitext(face.path.name)
    if photo is not None:
        (folder / f"{_fit(stem)}-{face.face_id}{suffix}").write_bytes(photo)
    else:
        (folder / f"{_fit(stem)}-{face.face_id}.jpg").write_bytes(thumbnail(face.face_id))
