"""From pixels to files."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from faceall.errors import ImageError
from faceall.types import Image

# suffix -> Pillow's module, its name for the format, and what to tell it
_WRITERS: dict[str, tuple[str, dict[str, int]]] = {
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"quality": 95}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """A picture (H, W, 3) uint8 RGB as the bytes of a JPEG file; quality 1..95."""
    if not 1 <= quality <= 95:
        raise ValueError(f"quality is {quality}, expected 1..95")
    return _encoded(image, "JPEG", {"quality": quality})


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write a picture in the format of its suffix: .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff.

    image  (H, W, 3) uint8 RGB

    The file appears whole or not at all; one of that name is replaced.
    Raises ImageError if the suffix is another or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in _WRITERS:
        raise ImageError(f"{target}: cannot write {target.suffix or 'no suffix'!r}; known are {', '.join(_WRITERS)}")
    data = _encoded(image, *_WRITERS[target.suffix.lower()])
    try:
        _replace(target, data)
    except OSError as error:
        raise ImageError(f"{target}: cannot be written ({error.strerror})") from error


def _encoded(image: Image, kind: str, options: dict[str, int]) -> bytes:
    """The bytes of a file of one of Pillow's kinds."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    buffer = io.BytesIO()
    try:
        PillowImage.fromarray(image).save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # e.g. more pixels on a side than the format allows
        raise ImageError(f"a picture of {image.shape[1]} x {image.shape[0]} cannot become {kind} ({error})") from error
    return buffer.getvalue()


def _replace(target: Path, data: bytes) -> None:
    """Write to a hidden sibling, sync, rename."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
