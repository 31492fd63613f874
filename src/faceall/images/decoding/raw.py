"""Camera RAW files, read by rawpy (LibRaw): the embedded preview if it is large enough, else the sensor's data."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from faceall.types import Image

_PREVIEW_SIDE = 1024  # pixels, the longer side from which a preview is used
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> EXIF orientation


def raw_size(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height of a RAW file in pixels, upright. Raises ImportError without rawpy."""
    with _opened(file) as raw:
        width, height = int(raw.sizes.width), int(raw.sizes.height)
        return (height, width) if raw.sizes.flip in (5, 6) else (width, height)


def decode_raw(
    file: BinaryIO, read_preview: Callable[[BinaryIO], tuple[Image, int]], turn: Callable[[Image, int], Image]
) -> Image:
    """Decode a RAW file.

    Parameters
    ----------
    file : binary file
        The open file.
    read_preview : callable
        Decodes a JPEG to the pixels as stored and their EXIF orientation (0 if it states none).
    turn : callable
        Applies an EXIF orientation.

    Returns
    -------
    (H, W, 3) uint8
        RGB, upright.
    """
    with _opened(file) as raw:
        preview = _preview(raw)
        if preview is not None:
            pixels, stated = read_preview(io.BytesIO(preview))
            if max(pixels.shape[:2]) >= _PREVIEW_SIDE:
                return turn(pixels, stated or _ORIENTATIONS.get(raw.sizes.flip, 1))
        return np.ascontiguousarray(raw.postprocess(use_camera_wb=True, output_bps=8), np.uint8)


def _opened(file: BinaryIO) -> Any:
    import rawpy

    file.seek(0)
    return rawpy.imread(file)


def _preview(raw: Any) -> bytes | None:
    """Return the embedded preview if it is a JPEG."""
    import rawpy

    try:
        found = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    return bytes(found.data) if found.format == rawpy.ThumbFormat.JPEG else None
