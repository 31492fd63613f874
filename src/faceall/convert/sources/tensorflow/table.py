"""Read a table of keys and values in LevelDB's file format, as the `.index` of a checkpoint is one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from faceall.convert.budget import charge
from faceall.convert.sources.tensorflow.checksum import crc32c, unmask
from faceall.convert.varint import read_varint
from faceall.errors import NetFormatError

TABLE_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
"""The last eight bytes of such a file."""

_FOOTER = 48
_TRAILER = 5
_LARGEST_TABLE = 16 << 20
"""Bytes of a table; that of 10,000 variables has 1 MB."""
_LONGEST_KEY = 4096
_MOST_ENTRIES = 200_000
_SNAPPY = 22
"""The most bytes that one byte of Snappy's format stands for: three bytes copy 64."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Return every entry of the table in `data`.

    Raises
    ------
    NetFormatError
        If it is damaged or of another format.
    """
    if len(data) < _FOOTER or not data.endswith(TABLE_MAGIC):
        raise NetFormatError("expected a checkpoint's index (.index), it does not end like one: cut short or another")
    if len(data) > _LARGEST_TABLE:
        raise NetFormatError(f"the checkpoint's index has {len(data):,} bytes, at most {_LARGEST_TABLE:,} are read")
    try:
        footer = data[-_FOOTER:]
        _, _, position = _handle(footer, 0)
        start, size, _ = _handle(footer, position)
        entries: dict[bytes, bytes] = {}
        left = len(data)
        for _, handle in _entries(_block(data, start, size)):
            start, size, _ = _handle(handle, 0)
            left -= size + _TRAILER
            if left < 0:
                raise NetFormatError("the checkpoint's index is damaged: its blocks overlap")
            entries.update(_entries(_block(data, start, size)))
            if len(entries) > _MOST_ENTRIES:
                raise NetFormatError(f"the checkpoint's index has more than {_MOST_ENTRIES:,} entries")
    except (IndexError, struct.error) as error:
        raise NetFormatError("the checkpoint's index is damaged: it ends inside an entry") from error
    return entries


def _handle(data: bytes, position: int) -> tuple[int, int, int]:
    """Return start and size of a block, and the end of the handle."""
    start, position = _varint(data, position)
    size, position = _varint(data, position)
    return start, size, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    found = read_varint(data, position, len(data))
    if found is None:
        raise NetFormatError("the checkpoint's index is damaged: a number in it is cut off or too large")
    return found


def _block(data: bytes, start: int, size: int) -> bytes:
    """Return the contents of one block, checked and unpacked."""
    end = start + size
    if end + _TRAILER > len(data) - _FOOTER:
        raise NetFormatError("the checkpoint's index is damaged: a block lies outside the file")
    (stored,) = struct.unpack_from("<I", data, end + 1)
    if crc32c(data[start : end + 1]) != unmask(stored):
        raise NetFormatError("the checkpoint's index is damaged: a block does not have its checksum")
    kind = data[end]
    if kind == 0:
        return data[start:end]
    if kind == 1:
        return unpack_snappy(data[start:end])
    raise NetFormatError(f"the checkpoint's index is packed in a way that faceall does not know (number {kind})")


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key omits the beginning that it shares with the key before."""
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * restarts
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        size, position = _varint(block, position)
        if shared > len(key) or position + own + size > end:
            raise NetFormatError("the checkpoint's index is damaged: an entry does not fit its block")
        if shared + own > _LONGEST_KEY:
            raise NetFormatError(f"the checkpoint's index is damaged: a name has {shared + own:,} bytes")
        charge(size=shared + own + size, parts=1)
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + size]
        position += size


def unpack_snappy(data: bytes) -> bytes:
    """Undo Snappy's compression (the raw format).

    Raises
    ------
    NetFormatError
        If it is damaged.
    """
    size, position = _varint(data, 0)
    if size > _SNAPPY * len(data):
        raise NetFormatError("the checkpoint's index is damaged: a block declares too large a size")
    out = bytearray()
    while position < len(data) and len(out) <= size:
        tag = data[position]
        position += 1
        if tag & 3 == 0:
            length, position = _literal_length(data, tag, position)
            out += data[position : position + length]
            position += length
        else:
            length, offset, position = _copy(data, tag, position)
            if not 0 < offset <= len(out):
                raise NetFormatError("the checkpoint's index is damaged: its compression does not add up")
            piece = out[len(out) - offset :][:length]
            out += (piece * (length // len(piece) + 1))[:length]  # a copy may reach into what it makes
    if len(out) != size:
        raise NetFormatError("the checkpoint's index is damaged: its compression does not add up")
    return bytes(out)


def _literal_length(data: bytes, tag: int, position: int) -> tuple[int, int]:
    length = tag >> 2
    if length < 60:
        return length + 1, position
    count = length - 59
    return int.from_bytes(data[position : position + count], "little") + 1, position + count


def _copy(data: bytes, tag: int, position: int) -> tuple[int, int, int]:
    """Return length and distance of a copy, and the end of its description."""
    if tag & 3 == 1:
        return (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[position], position + 1
    count = 2 if tag & 3 == 2 else 4
    return (tag >> 2) + 1, int.from_bytes(data[position : position + count], "little"), position + count
