"""File names from forms: undo the escaping of browsers, and map names to safe paths and back."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

MAX_NAME_LENGTH = 1000
"""Characters of a photo's name or URL."""

DEFAULT_NAME = "photo"
"""The name of an upload without a name."""

_PART_BYTES = 200  # of a file's name; file systems allow 255
_CONTINUED = "%"  # at the end of a folder's name: the name continues inside; elsewhere two digits follow a %
_UNSAFE = frozenset('<>:"/\\|?*%\x7f')
_UNSAFE_FIRST = frozenset(".~ -")
_UNSAFE_LAST = frozenset(". ")


def as_sent(name: str) -> str:
    """Return a field's or file's name as on the client's computer; browsers escape three characters of it."""
    plain = name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return plain.replace("\r\n", "\n").replace("\r", "\n")


def to_parts(name: str) -> tuple[str, ...]:
    """Return a name as parts of a path that is valid on any file system; `from_parts` is the inverse."""
    parts: list[list[str]] = [[]]
    room = _PART_BYTES
    for letter in name or DEFAULT_NAME:
        piece = _quoted(letter) if letter in _UNSAFE or letter < " " or "\ud800" <= letter <= "\udfff" else letter
        size = len(piece.encode())
        if size > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(piece)
        room -= size
    plain = ["".join(_quote_ends(part)) for part in parts]
    return (*(part + _CONTINUED for part in plain[:-1]), plain[-1])


def from_parts(parts: Sequence[str]) -> str:
    """Return the name of the parts that `to_parts` has made."""
    *folders, last = parts
    return unquote("".join([*(folder.removesuffix(_CONTINUED) for folder in folders), last]), errors="surrogatepass")


def _quote_ends(pieces: list[str]) -> list[str]:
    """Quote characters that are unsafe at the beginning or the end of a file's name."""
    if pieces[0] in _UNSAFE_FIRST:
        pieces[0] = _quoted(pieces[0])
    if pieces[-1] in _UNSAFE_LAST:
        pieces[-1] = _quoted(pieces[-1])
    return pieces


def _quoted(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))
