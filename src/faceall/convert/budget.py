"""Limits of what reading a file may cost: bytes and parts are counted while it is read, not afterwards.

A reader opens a budget with `limited`; whatever makes arrays or nodes charges it. Without an open
budget nothing is limited, as for graphs that faceall writes itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from faceall.convert.varint import read_varint
from faceall.errors import NetFormatError

SPARE = 64 << 20
"""Bytes that any file may grow to."""
GROWTH = 8
"""How many times its size a file may grow; weights may be bytes or half precision."""
LARGEST = 1 << 30
"""Bytes of arrays that no file exceeds."""
_MOST_PARTS = 1_000_000
"""Nodes, attributes, operands and steps of passes."""
_MOST_FIELDS = 3_000_000
_SMALL = 1 << 18
"""Bytes of a message whose fields need not be counted."""


class Budget:
    """What is left of the bytes and parts that one file may make.

    Parameters
    ----------
    most_bytes : int
        Bytes of arrays.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._bytes = 0
        self._parts = 0

    def charge(self, *, size: int, parts: int) -> None:
        """Count what is about to be made.

        Raises
        ------
        NetFormatError
            If it exceeds the budget.
        """
        self._bytes += size
        self._parts += parts
        if self._bytes > self.most_bytes:
            raise NetFormatError(
                f"it declares more than {self.most_bytes >> 20} MB, far more than the file has: damaged"
            )
        if self._parts > _MOST_PARTS:
            raise NetFormatError(f"it takes more than {_MOST_PARTS:,} steps to read, no net does: damaged")


_OPEN: ContextVar[Budget | None] = ContextVar("faceall_budget", default=None)


def allowed_bytes(size: int) -> int:
    """Return the bytes that a file of `size` bytes may grow to."""
    return min(SPARE + GROWTH * size, LARGEST)


@contextmanager
def limited(most_bytes: int = LARGEST) -> Iterator[None]:
    """Limit what is charged inside."""
    token = _OPEN.set(Budget(most_bytes))
    try:
        yield
    finally:
        _OPEN.reset(token)


def charge(*, size: int = 0, parts: int = 0) -> None:
    """Count `size` bytes and `parts` parts against the open budget, if there is one.

    Raises
    ------
    NetFormatError
        If they exceed it.
    """
    budget = _OPEN.get()
    if budget is not None:
        budget.charge(size=size, parts=parts)


def require_few_fields(data: bytes, nested: dict[int, dict[int, object]] | None = None) -> None:
    """Count the fields of a protocol-buffer message before they become objects, which take 30 times their bytes.

    Parameters
    ----------
    data : bytes
        The message.
    nested : dict of int to dict
        The numbers of the fields that are messages themselves -> the same for those.

    Raises
    ------
    NetFormatError
        If there are more than a net has. What is no valid message is left to the parser.
    """
    if len(data) < _SMALL:
        return
    left = _MOST_FIELDS
    waiting: list[tuple[int, int, dict[int, dict[int, object]]]] = [(0, len(data), nested or {})]
    while waiting:
        position, end, inner = waiting.pop()
        while position < end:
            left -= 1
            if left < 0:
                raise NetFormatError(f"it has more than {_MOST_FIELDS:,} fields, no net has: damaged")
            tag, position = _varint(data, position, end)
            kind = tag & 7
            if kind == 0:
                _, position = _varint(data, position, end)
            elif kind == 2:
                size, position = _varint(data, position, end)
                if tag >> 3 in inner and position + size <= end:
                    waiting.append((position, position + size, inner[tag >> 3]))  # type: ignore[arg-type]
                position += size
            elif kind in (1, 5):
                position += 8 if kind == 1 else 4
            else:
                break


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return an integer and its end; damaged, a field of no kind, which ends the message."""
    return read_varint(data, position, end) or (7, end)
