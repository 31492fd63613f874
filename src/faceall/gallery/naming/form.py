"""The form of a person's name."""

from __future__ import annotations

import unicodedata

from faceall.characters import invisible, is_control

MAX_NAME_LENGTH = 200
"""The largest number of characters in a person's name."""


def fitting_name(name: str) -> str:
    """Make a valid name: without line breaks, control and invisible characters, not too long; "" if nothing is left."""
    one_line = "".join(" " if is_control(letter) else letter for letter in tidy_name(name))
    hidden = invisible(one_line)
    visible = "".join(letter for place, letter in enumerate(one_line) if place not in hidden)
    return tidy_name(visible[:MAX_NAME_LENGTH])


def tidy_name(name: str) -> str:
    """Normalise a name: composed accents (NFC), no white space around it, question marks for undecodable bytes."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", readable).strip()
