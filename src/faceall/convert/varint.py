"""Variable-length integers, as protocol buffers and LevelDB store them."""

from __future__ import annotations


def read_varint(data: bytes, position: int, end: int) -> tuple[int, int] | None:
    """Read an unsigned integer of at most 64 bits.

    Parameters
    ----------
    data : bytes
        Seven bits per byte, the lowest first; the last byte is below 0x80.
    position, end : int
        Where it starts, and where the data end.

    Returns
    -------
    (int, int) or None
        The integer and the position after it; None if it is cut off or too long.
    """
    result = shift = 0
    while position < end and shift <= 63:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
    return None
