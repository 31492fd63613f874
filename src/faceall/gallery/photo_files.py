"""Find and read the file of a registered photo by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from faceall.errors import ImageError
from faceall.images import read_image
from faceall.types import Image


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
