"""Why an image cannot be read, before its path is known."""

from __future__ import annotations

import struct

_SHORT = (struct.error, IndexError)  # a reader wanted more bytes than there are


class UnreadableError(Exception):
    """The reason why an image cannot be read, before its path is known."""


class TooLargeError(Exception):
    """The reason why an image is too large, before its path is known."""


class OutOfMemoryError(TooLargeError):
    """Memory is too short."""


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line; its type if it has no text."""
    if isinstance(error, _SHORT) or isinstance(error.__cause__, _SHORT):  # their texts are those of Python's parsers
        return "a part of it is missing"
    return " ".join(str(error).split()) or type(error).__name__
