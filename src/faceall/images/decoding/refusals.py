"""Why an image cannot be read, before its path is known."""

from __future__ import annotations


class UnreadableError(Exception):
    """The reason why an image cannot be read, before its path is known."""


class TooLargeError(Exception):
    """The reason why an image is too large, before its path is known."""


class OutOfMemoryError(TooLargeError):
    """Memory is too short."""


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line; its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
