"""Copy the uploaded files of a gallery when it is moved, and remove them from its previous folder.

Records need no change: an upload is looked for at `uploads/SHA-256/NAME` in the gallery's present folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from faceall.errors import IndexFileError
from faceall.files import make_folder, replaced_file
from faceall.gallery.people.removal import UPLOAD, UPLOADS
from faceall.models import sha256_of

_LOCK_FILE = ".server"  # of the web server


def uploads_of(folder: Path) -> list[str]:
    """Return the SHA-256 of the uploads in a gallery's folder, sorted. Raises IndexFileError."""
    try:
        return sorted(name for name in os.listdir(folder / UPLOADS) if UPLOAD.fullmatch(name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise IndexFileError(f"{folder / UPLOADS} cannot be read: {error.strerror}") from error


def copy_upload(source: Path, target: Path, digest: str) -> int:
    """Copy the files of one upload between the folders of two galleries, and compare each with its copy.

    Parameters
    ----------
    source, target : Path
        The folders of the galleries.
    digest : str
        SHA-256 of the upload, hexadecimal.

    Returns
    -------
    int
        Files that were copied; those that the target had already are not counted.

    Raises
    ------
    IndexFileError
        If a file cannot be read or written, or differs from its copy.
    """
    copied = 0
    for file in _files_below(source / UPLOADS / digest):
        copy = target / file.relative_to(source)
        try:
            expected = sha256_of(file)
            if copy.is_file() and sha256_of(copy) == expected:
                continue
            _copy(file, copy)
            copied += 1
            if sha256_of(copy) == expected:
                continue
        except OSError as error:
            raise IndexFileError(f"the upload {file} cannot be copied to {copy}: {error.strerror}") from error
        raise IndexFileError(f"the upload {file} differs from its copy {copy}; the source is untouched")
    return copied


def _files_below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (file for name in sorted(names) if not (file := Path(place, name)).is_symlink())


def _copy(file: Path, copy: Path) -> None:
    """Copy a file with its time, by which a registration recognises unchanged files."""
    make_folder(copy.parent)
    with file.open("rb") as data, replaced_file(copy, internal=True) as written:
        shutil.copyfileobj(data, written, 1 << 20)
    found = file.stat()
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def remove_copies(folder: Path, digests: Iterable[str]) -> None:
    """Remove uploads from a gallery's folder, by their SHA-256. Raises IndexFileError."""
    try:
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder / UPLOADS / digest)
    except OSError as error:
        raise IndexFileError(f"uploads in {folder / UPLOADS} cannot be removed: {error.strerror}") from error


def remove_all_uploads(folder: Path) -> None:
    """Remove every upload, also those without a photo, and the folders that are empty then. Raises IndexFileError."""
    remove_copies(folder, uploads_of(folder))
    with contextlib.suppress(OSError):  # other files, or none of these
        (folder / UPLOADS / _LOCK_FILE).unlink(missing_ok=True)
        (folder / UPLOADS).rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()
