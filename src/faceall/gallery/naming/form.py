"""The form of a person's name."""

from __future__ import annotations

import unicodedata

MAX_NAME_LENGTH = 200
"""The largest number of characters in a person's name."""


def fitting_name(name: str) -> str:
    """Make a valid name: without line breaks and control characters, not too long."""
    one_line = "".join(" " if is_control(letter) else letter for letter in tidy_name(name))
    return tidy_name(one_line[:MAX_NAME_LENGTH])


def is_control(letter: str) -> bool:
    """Return whether a character cannot be in a name: it ends a line or controls a terminal."""
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def tidy_name(name: str) -> str:
    """Normalise a name: composed accents (NFC), no white space around it, question marks for undecodable bytes."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", readable).strip()
