"""The size of a JPEG in pixels, from the first bytes of its file and without a decoder."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from faceall.files import open_regular

_START, _MARK, _SCAN = b"\xff\xd8", 0xFF, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a frame header; the others are tables
_MAX_SEGMENTS = 500


def jpeg_size(path: Path) -> tuple[int, int] | None:
    """Return the stored width and height of a JPEG; None for other files, damaged ones and ones that cannot be read."""
    try:
        with open_regular(path) as file:
            return _frame_size(file)
    except (OSError, ValueError, struct.error):
        return None


def _frame_size(file: BinaryIO) -> tuple[int, int] | None:
    _, header = frame_header(file)
    _, height, width = struct.unpack_from(">BHH", header)
    return (width, height) if width and height else None


def frame_header(file: BinaryIO) -> tuple[int, bytes]:
    """Return the marker and the content of a JPEG's frame header, and leave the file behind it.

    Raises
    ------
    ValueError, struct.error
        If an open file, read from its start, is not a JPEG, or is damaged.
    """
    file.seek(0)
    if file.read(2) != _START:
        raise ValueError("not a JPEG")
    for _ in range(_MAX_SEGMENTS):
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != _MARK or kind == _SCAN or length < 2:
            break
        if kind in _FRAMES:
            return kind, file.read(length - 2)
        file.seek(length - 2, os.SEEK_CUR)
    raise ValueError("a JPEG without a frame header")
