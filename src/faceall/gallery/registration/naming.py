"""Whose photo is it? The name that a path gives.

A folder names the person: `photos/Ada/1.jpg`, found by walking `photos`, is a photo of Ada. A file that lies directly
in what was given, or that was given itself, has nobody's folder above it, so there the file's own name counts:
`known/ada_2.jpg` is a photo of ada. Names that say nothing (`2019`, `IMG_0042`) are passed over.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from faceall.errors import ImageError
from faceall.images import find_images

_NUMBER = re.compile(r"[\s_\-.]*[(\[]?\d+[)\]]?$")

LONGEST_NAME = 200
"""How many characters a person's name has at most."""

# What cameras, phones and programs write before a number, and what people call a heap of photos.
_WORDS = """
    copy dcim dsc dscf dscn download downloads face faces fb gopr gx image images img imgp jpeg jpg mvi pano people
    person photo photos pic pics picture pictures portrait portraits pxl sam scan screenshot snapshot test tmp
    unknown unsorted untitled wa whatsapp wp
"""
_NOTHING = frozenset(re.findall(r"\w+", _WORDS))


@dataclass(frozen=True)
class Candidate:
    """A file to register.

    path    as an absolute path
    person  whose photo it is by its path; None for nobody's
    """

    path: Path
    person: str | None


def find_candidates(
    paths: Iterable[str | os.PathLike[str]],
    *,
    known: Iterable[str] = (),
    on_error: Callable[[ImageError], None] | None = None,
) -> list[Candidate]:
    """Every picture at `paths` (files and folders), each once, with the person it is named after.

    known     people of the gallery; a folder of such a name is that person's, however its files are called
    on_error  is told of folders that cannot be read; by default the error is raised
    """
    people = frozenset(known)
    found: dict[Path, Candidate] = {}
    for given in paths:
        root = Path(os.path.abspath(given))
        for file in find_images(root, on_error=on_error):
            path = Path(os.path.abspath(file))
            found.setdefault(path, Candidate(path, person_of(path, root, known=people)))
    return list(found.values())


def person_of(path: Path, root: Path, *, known: frozenset[str] = frozenset()) -> str:
    """The person whose photo `path` is, when `root` (the file itself, or a folder above it) was given.

    Below a folder of `root`: the nearest folder whose name says something, else the nearest. Directly in `root`: the
    file's name without its number; or the folder's name where the file's name repeats it or says nothing, or where
    that folder is `known` to be a person's.
    """
    folders = [fitting_name(folder.name) for folder in path.parents if folder != root and root in folder.parents]
    if folders:
        return next(filter(_says_something, folders), folders[0])
    stem, folder = fitting_name(path.stem), fitting_name(path.parent.name)
    own = _without_number(stem)
    if folder in known or _repeats(own, folder):
        return folder
    if _says_something(own):
        return own
    return stem if _letters(own) and not _says_something(folder) else folder or stem


def person_in_name(name: str) -> str | None:
    """The person whom the name of a single file gives, with the folders that stand in it; None where it says nothing.

    `Ada/1.jpg` and `ada_2.jpg` name somebody, `IMG_0042.jpg` and `1.jpg` nobody.
    """
    *folders, file = [fitting_name(part) for part in re.split(r"[/\\]", name) if part.strip()] or [""]
    named = next(filter(_says_something, reversed(folders)), None)
    own = _without_number(os.path.splitext(file)[0])
    return named or (own if _says_something(own) else None)


def _says_something(name: str) -> bool:
    """Whether a name could be a person's: two letters at least, and no word that cameras write."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return sum(map(len, words)) >= 2 and not all(word in _NOTHING for word in words)


def _without_number(stem: str) -> str:
    """A file's stem without the number that tells a person's photos apart: Ada_0001, Ada-2, Ada (3), Ada4 -> Ada."""
    return _NUMBER.sub("", stem)


def _repeats(own: str, folder: str) -> bool:
    """Whether a file's name begins with its folder's, word by word: bill_gates_smiling in BillGates, not bob in b."""
    words = re.findall(r"[^\W\d_]+", own.casefold())
    starts = {_letters("".join(words[:end])) for end in range(1, len(words) + 1)}
    return _letters(folder) in starts


def _letters(name: str) -> str:
    """Only the letters, in lower case, to compare `BillGates` with `bill_gates`."""
    return "".join(filter(str.isalpha, name.casefold()))


def fitting_name(name: str) -> str:
    """A name that comes from elsewhere, as a person can have it: no line breaks or control characters, not too long."""
    one_line = "".join(" " if is_control(letter) else letter for letter in tidy_name(name))
    return tidy_name(one_line[:LONGEST_NAME])


def is_control(letter: str) -> bool:
    """Whether a character is none that a name can hold: it ends a line, or steers a terminal."""
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def tidy_name(name: str) -> str:
    """One spelling per name: macOS hands out decomposed accents; bytes of no known encoding become question marks."""
    readable = name.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", readable).strip()
