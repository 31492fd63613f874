"""Whether a progressive JPEG has all its scans, from their headers and without a decoder.

Each scan of a progressive JPEG sends some coefficients or one more bit of them (ITU-T T.81, annex G), so a file that
was cut and closed with an end marker decodes without an error: to a blurred image.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from faceall.images.decoding.jpeg_size import frame_header

_PROGRESSIVE, _SCAN, _END = 0xC2, 0xDA, 0xD9
_MAX_SEGMENTS = 2000
_COEFFICIENTS = 64
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in the data of a scan, which hold restart markers too


def lacks_scans(file: BinaryIO) -> bool:
    """Return whether an open file is a progressive JPEG some coefficients of which lack bits; False for all others."""
    try:
        kind, header = frame_header(file)
        if kind != _PROGRESSIVE:
            return False
        bits = {component: [-1] * _COEFFICIENTS for component in header[6 : 6 + 3 * header[5] : 3]}
        for components, first, last, lowest_bit in _scans(file):
            for component in components:
                bits[component][first : last + 1] = [lowest_bit] * (last + 1 - first)
    except (IndexError, KeyError, ValueError, struct.error):
        return False
    return any(lowest != 0 for each in bits.values() for lowest in each)


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
