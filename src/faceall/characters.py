"""Characters that a text of one line must not have, or that would not be seen in it."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks that show nothing, beside those of the category of format characters (Cf)."""


def is_control(letter: str) -> bool:
    """Return whether a character cannot be in a name: it ends a line or controls a terminal."""
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def invisible(text: str) -> frozenset[int]:
    """Return the places of characters that show nothing or turn the direction of what follows.

    Joiners in Arabic and Indic scripts and between emoji, which change how their neighbours are drawn, do not count.
    """
    found = {place for place, letter in enumerate(text) if letter in _BLANK or unicodedata.category(letter) == "Cf"}
    return frozenset(
        place for place in found if text[place] not in _JOINERS or not place or not _is_joined(text[place - 1])
    )


def _is_joined(letter: str) -> bool:
    """Return whether joiners follow a letter: in the scripts from Arabic to Sinhala, and between emoji."""
    kind = unicodedata.category(letter)
    return ("\u0600" <= letter <= "\u0dff" and kind[0] in "LM") or kind in ("So", "Sk") or letter == "\ufe0f"
