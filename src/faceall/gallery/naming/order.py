"""The alphabetical order of names, the same for every store and for the pages of the web app."""

from __future__ import annotations

import re
import unicodedata

NO_LETTER, NO_CASE = "#", "…"
"""The initials of names that begin with no letter, and with one of a script without upper case, such as Chinese."""

_DIGITS = re.compile(r"([0-9]{1,18})")


def folded_name(name: str) -> str:
    """Return a name without case, accents and differences of width, for comparisons and searches."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in parts if not unicodedata.combining(letter)).casefold()


def name_order(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a key that sorts names without case and accents, and the numbers in them by value."""
    pieces = enumerate(_DIGITS.split(folded_name(name)))
    return tuple((0, int(piece), "") if place % 2 else (1, 0, piece) for place, piece in pieces if piece), name


def initial(name: str) -> str:
    """Return the letter under which a name is found: its first one, in upper case and without an accent."""
    first = next(iter(folded_name(name).strip()), "")
    if not first.isalpha():
        return NO_LETTER
    return first.upper()[:1] if first.upper() != first else NO_CASE
