"""Whether a progressive JPEG has all its scans, from their headers and without a decoder.

Each scan of a progressive JPEG sends some coefficients or one more bit of them (ITU-T T.81, annex G), so a file that
was cut and closed with an end marker decodes without an error: to a blurred image.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

_START, _MARK = b"\xff\xd8", 0xFF
_PROGRESSIVE, _SCAN, _END = 0xC2, 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a frame header; the others are tables
_MAX_SEGMENTS = 2000
_COEFFICIENTS = 64
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in the data of a scan, which hold restart markers too


def lacks_scans(file: BinaryIO) -> bool:
    """Return whether an open file is a progressive JPEG some coefficients of which lack bits; False for all others."""
    try:
        file.seek(0)
        bits = {component: [-1] * _COEFFICIENTS for component in _components(file)}
        for components, first, last, lowest_bit in _scans(file) if bits else ():
            for component in components:
                bits[component][first : last + 1] = [lowest_bit] * (last + 1 - first)
    except (IndexError, KeyError, ValueError, struct.error):
        return False
    return any(lowest != 0 for each in bits.values() for lowest in each)


def _components(file: BinaryIO) -> bytes:
    """Return the numbers of the components of a progressive JPEG, none of other files."""
    if file.read(2) != _START:
        return b""
    for _ in range(_MAX_SEGMENTS):
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != _MARK or kind == _SCAN or length < 2 or (kind in _FRAMES and kind != _PROGRESSIVE):
            return b""
        if kind == _PROGRESSIVE:
            header = file.read(length - 2)
            return header[6 : 6 + 3 * header[5] : 3]
        file.seek(length - 2, os.SEEK_CUR)
    return b""


def _scans(file: BinaryIO) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield each scan after the frame header: components, first and last coefficient, and the lowest bit it sends."""
    content = file.read()
    place = 0
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.match(content, place)
        if found is None or content[place + 1] == _END:
            return
        kind, (length,) = content[place + 1], struct.unpack_from(">H", content, place + 2)
        header = content[place + 4 : place + 2 + length]
        place += 2 + length
        if kind == _SCAN:
            count = header[0]
            first, last, bits = header[1 + 2 * count : 4 + 2 * count]
            yield header[1 : 1 + 2 * count : 2], first, last, bits & 15
            following = _NEXT_MARKER.search(content, place)
            if following is None:
                return
            place = following.start()
