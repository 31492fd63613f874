"""Write images to files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from faceall.arguments import checked
from faceall.errors import ArgumentError, ImageError
from faceall.files import write_file
from faceall.types import Image

# suffix -> format name of Pillow and its options
_WRITERS: dict[str, tuple[str, dict[str, int]]] = {
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"quality": 95}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}


@checked
def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """Encode an image as JPEG.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB.
    quality : int
        JPEG quality, 1 to 95.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the quality is out of range or the array is not an image.
    ImageError
        If the image is too large for the format.
    """
    if not 1 <= quality <= 95:
        raise ArgumentError(f"quality is {quality}, expected 1..95")
    return _encode(image, "JPEG", {"quality": quality}, None)


@checked
def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write an image in the format of the file's suffix.

    The file is written to a temporary sibling, synced and renamed, so it is never half written. An existing file is
    replaced.

    Parameters
    ----------
    path : path-like
        Ends in .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff.
    image : (H, W, 3) uint8
        RGB.

    Raises
    ------
    ValueError
        If the array is not an image.
    ImageError
        If the suffix is unknown or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in _WRITERS:
        suffix = f"'{target.suffix}'" if target.suffix else "a file without a suffix"
        raise ImageError(str(target), f"cannot write {suffix}; supported are {', '.join(_WRITERS)}")
    data = _encode(image, *_WRITERS[target.suffix.lower()], str(target))
    try:
        write_file(target, data)
    except OSError as error:
        raise ImageError(str(target), f"cannot be written ({error.strerror})") from error


def _encode(image: Image, kind: str, options: dict[str, int], path: str | None) -> bytes:
    """Return the bytes of a file in one of Pillow's formats."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ArgumentError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    buffer = io.BytesIO()
    try:
        PillowImage.fromarray(image).save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # for example more pixels on a side than the format allows
        size = f"{image.shape[1]} x {image.shape[0]} pixels"
        raise ImageError(path, f"{size} cannot be encoded as {kind} ({error})") from error
    return buffer.getvalue()
