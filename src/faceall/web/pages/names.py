"""Names that travel through forms and file systems: how browsers write them, and how they become safe paths."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

LONGEST = 1000
"""How many characters the name of a picture may have, URLs too."""

NAMELESS = "picture"
"""What a picture without a name is called."""

_PART_BYTES = 200  # of a file's name; file systems take 255
_GOES_ON = "%"  # at the end of a folder's name: the rest stands inside; elsewhere two digits follow a %
_UNFIT = frozenset('<>:"/\\|?*%\x7f')
_UNFIT_FIRST = frozenset(".~ -")
_UNFIT_LAST = frozenset(". ")


def as_sent(name: str) -> str:
    """A field's or file's name as the person's computer has it: browsers escape three characters of it."""
    plain = name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return plain.replace("\r\n", "\n").replace("\r", "\n")


def to_parts(name: str) -> tuple[str, ...]:
    """A name as the parts of a path that any file system takes; `from_parts` gives the name back."""
    parts: list[list[str]] = [[]]
    room = _PART_BYTES
    for letter in name or NAMELESS:
        piece = _quoted(letter) if letter in _UNFIT or letter < " " or "\ud800" <= letter <= "\udfff" else letter
        size = len(piece.encode())
        if size > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(piece)
        room -= size
    plain = ["".join(_fit_ends(part)) for part in parts]
    return (*(part + _GOES_ON for part in plain[:-1]), plain[-1])


def from_parts(parts: Sequence[str]) -> str:
    """The name that `to_parts` has made a path of."""
    *folders, last = parts
    return unquote("".join([*(folder.removesuffix(_GOES_ON) for folder in folders), last]), errors="surrogatepass")


def _fit_ends(pieces: list[str]) -> list[str]:
    """Quote what must not stand at the beginning or the end of a file's name."""
    if pieces[0] in _UNFIT_FIRST:
        pieces[0] = _quoted(pieces[0])
    if pieces[-1] in _UNFIT_LAST:
        pieces[-1] = _quoted(pieces[-1])
    return pieces


def _quoted(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))
