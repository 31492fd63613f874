"""Find and read the file of a registered photo by its content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from faceall.errors import ImageError
from faceall.files import open_regular
from faceall.gallery.records import SeenFile
from faceall.images import read_image
from faceall.types import Image

_BLOCK = 1 << 20  # bytes


def find_image(digest: bytes, paths: Sequence[Path]) -> tuple[Path, Image | None, str | None]:
    """Return the file that holds the photo with a SHA-256 and its pixels, or None and the reason."""
    reason: str | None = "no file is known"
    for path in paths:
        image, reason = _read(path, digest)
        if image is not None:
            return path, image, None
    return (paths[0] if paths else Path()), None, reason


def _read(path: Path, digest: bytes) -> tuple[Image | None, str | None]:
    """Return the image in a file if it has a SHA-256, else None and the reason."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).digest() != digest:
            return None, "the file holds another photo now"
        return read_image(content), None
    except (FileNotFoundError, NotADirectoryError):
        return None, "the file is gone"
    except OSError as error:
        return None, f"the file cannot be read ({error.strerror})"
    except ImageError as error:
        return None, str(error)


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file of any size.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()


def find_file(digest: bytes, paths: Sequence[Path]) -> tuple[Path, str | None]:
    """Return the file with a SHA-256, or the first path and the reason why there is none."""
    reason: str | None = "no file is known"
    for path in paths:
        reason = _difference(path, digest)
        if reason is None:
            return path, None
    return (paths[0] if paths else Path()), reason


def _difference(path: Path, digest: bytes) -> str | None:
    """Return why a file is not the one with a SHA-256; None if it is."""
    try:
        return None if digest_of(path) == digest else "the file has other content now"
    except FileNotFoundError:
        return "the file is gone"
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"


def find_unchanged(files: Sequence[SeenFile]) -> Path | None:
    """Return the first file whose size and time of the last change are those of when it was seen, or None."""
    for file in files:
        try:
            status = os.stat(file.path)
        except OSError:  # gone, or its folder is not readable
            continue
        if stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (file.size, file.mtime):
            return file.path
    return None
