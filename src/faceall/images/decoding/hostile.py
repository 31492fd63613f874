"""Limits on the work that a small file can cause while it is read.

A file of some bytes can ask a decoder for hours: a progressive JPEG with thousands of scans, a header of millions of
empty segments, a TIFF with millions of strips. Normal files stay far below these limits.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any, BinaryIO

import numpy as np

MAX_SCANS = 100
"""Scans of a JPEG. Encoders write up to about 14; each one costs a pass over all pixels."""

MAX_TIFF_VALUES = 200_000
"""Values of one TIFF field, for example of the offsets of its strips."""

_HEADER_READS = 20_000  # calls of `read` before the pixels; one per segment, chunk or character
_BYTES_PER_READ = 256  # on average over the whole file
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # outside entropy-coded data, stuffing and restarts
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_TIFF_ENTRIES = {  # magic -> byte order, offset of the IFD's address, its format, format of the count, entry size
    b"II*\0": ("<", 4, "I", "H", 12),
    b"MM\0*": (">", 4, "I", "H", 12),
    b"II+\0": ("<", 8, "Q", "Q", 20),
    b"MM\0+": (">", 8, "Q", "Q", 20),
}
_TIFF_BYTE_TYPES = frozenset((1, 2, 6, 7))  # Pillow keeps these fields as bytes


class TooMuchWorkError(Exception):
    """A file asks for much more work than its size justifies."""


class MeteredFile:
    """A binary file that refuses an excessive number of reads.

    Parameters
    ----------
    file : BinaryIO
        The file to read from.
    size : int
        Its size in bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = _HEADER_READS
        self._for_pixels = size // _BYTES_PER_READ + _HEADER_READS

    def header_is_read(self) -> None:
        """Allow the reads of the pixels."""
        self._left = self._for_pixels

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes.

        Raises
        ------
        TooMuchWorkError
            After too many calls.
        """
        self._left -= 1
        if self._left < 0:
            raise TooMuchWorkError("it consists of too many tiny parts")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        """Return all other attributes of the file."""
        return getattr(self._file, name)


def check_scans(file: BinaryIO) -> None:
    """Count the scans of a JPEG.

    Parameters
    ----------
    file : BinaryIO
        An open file; its position is restored.

    Raises
    ------
    TooMuchWorkError
        If there are more than `MAX_SCANS`.
    """
    data = file.getvalue() if isinstance(file, io.BytesIO) else _whole(file)
    if _count_pairs(data, 0xFF, _SCAN) > MAX_SCANS and _count_scans(data) > MAX_SCANS:
        raise TooMuchWorkError(f"it has more than {MAX_SCANS} scans")


def _count_pairs(data: bytes, first: int, second: int) -> int:
    """Count two successive bytes, several times as fast as `data.count`."""
    pair = first | second << 8
    halves = [np.frombuffer(data, "<u2", (len(data) - start) // 2, start) for start in (0, 1) if len(data) > start + 1]
    return sum(int(np.count_nonzero(half == pair)) for half in halves)


def _whole(file: BinaryIO) -> bytes:
    """Return the content of an open file; its position is restored."""
    start = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(start)
    return data


def _count_scans(data: bytes) -> int:
    """Count the scans of the first image of a JPEG file; stops above the limit."""
    count, position = 0, 2
    while count <= MAX_SCANS:
        found = _MARKER.search(data, position)
        if found is None or data[found.end() - 1] == _END:
            break
        marker, position = data[found.end() - 1], found.end()
        count += marker == _SCAN
        if marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
    return count


def check_tiff(file: BinaryIO) -> None:
    """Check the number of values in each field of a TIFF's first directory.

    Parameters
    ----------
    file : BinaryIO
        An open file; its position is restored.

    Raises
    ------
    TooMuchWorkError
        If a field has more than `MAX_TIFF_VALUES`.
    """
    start = file.tell()
    file.seek(0)
    head = file.read(16)
    order, where, address, counter, entry_size = _TIFF_ENTRIES[head[:4]]
    try:
        file.seek(struct.unpack_from(order + address, head, where)[0])
        (entries,) = struct.unpack(order + counter, file.read(struct.calcsize(counter)))
        table = file.read(min(entries, 1 << 16) * entry_size)
        for offset in range(0, len(table) - entry_size + 1, entry_size):
            _, kind, count = struct.unpack_from(f"{order}HH{address}", table, offset)
            if kind not in _TIFF_BYTE_TYPES and count > MAX_TIFF_VALUES:
                raise TooMuchWorkError(f"a field of it has {count:,} values")
    except (struct.error, OSError, OverflowError, ValueError):
        return  # damaged, which the reader reports
    finally:
        file.seek(start)
