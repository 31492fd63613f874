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
    if file.read(2) != _START:
        return None
    for _ in range(_MAX_SEGMENTS):
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != _MARK or kind == _SCAN or length < 2:
            return None
        if kind in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return (width, height) if width and height else None
        file.seek(length - 2, os.SEEK_CUR)
    return None
