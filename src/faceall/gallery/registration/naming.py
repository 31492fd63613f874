"""Names that paths suggest: a folder per person, or the name of a file.

A name is taken only where the user plainly means it. With ``auto`` a folder suggests a name when it looks like a
person's: no date, no word of a camera or program, no event. Whether the faces in it agree is checked after they were
analysed, by `faceall.gallery.registration.folder_names`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from faceall.errors import FaceallError, ImageError
from faceall.gallery.registration.words import COLLECTION_WORDS, EVENT_WORDS, PROGRAM_WORDS
from faceall.images import find_images

NamesFrom: TypeAlias = Literal["auto", "folders", "files", "xmp", "none"]
"""Where the names of people come from."""

MAX_NAME_LENGTH = 200
"""The largest number of characters in a person's name."""

_MAX_WORDS = 5  # in the name of a person's folder

_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?!\d)"  # 2024
    r"|(?<!\d)(?:19|20)\d{6}(?!\d)"  # 20240115
    r"|(?<!\d)\d{1,2}[.\-]\d{1,2}[.\-]\d{2,4}(?!\d)"  # 15.1.2024
)
_JOINED = re.compile(r"\s+(?:and|und|et|og|och|en|with|mit)\s+|\s*[&+＆＋]\s*|\s+[和与與]\s+", re.IGNORECASE)
_URL = re.compile(r"(?:https?|ftp|file|s3|data):/", re.IGNORECASE)  # one slash: pathlib removes the second
_DCF_FOLDER = re.compile(r"\d{3}[A-Z0-9_]{5}")  # 100APPLE, 101_PANA (the DCF standard of cameras)
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_HASH = re.compile(r"(?=.*\d)[0-9a-f]{8,}", re.IGNORECASE)

# What follows a name in a file: copies, edits, dates, times, counters. Removed from the end until nothing changes.
_ENDINGS = tuple(re.compile(rf"[\s_.\-~]*(?:{ending})$", re.IGNORECASE) for ending in (
    r"[(\[]?(?:copy|kopie|copie|copia|kopia|副本|コピー)(?:[\s_]*(?:of|von|de)?)[\s_]*[(\[]?\d*[)\]]*",
    r"edit|edited|bearbeitet|modified|retouch(?:ed)?|hdr|bw|collage|animation|effects|portrait|mp|burst|cover|\d+x\d+",
    r"(?:at|um|à)?[\s_]*\d{1,2}[.\-_:h]\d{2}(?:[.\-_:m]\d{2}s?)?(?:[\s_]*[ap]m)?",
    r"(?:19|20)\d\d(?:[\s_.\-]?\d\d){0,2}",
    r"\d{1,2}[.\-_]\d{1,2}[.\-_](?:\d{4}|\d\d)",
    r"[(\[]?\d+[)\]]?",
))  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A file to register.

    Attributes
    ----------
    path : Path
        Absolute.
    person : str or None
        The person whose photo it is; None if unknown.
    folder : Path or None
        The folder that suggested the name, if the faces still have to confirm it.
    xmp : bool
        Take names from the metadata of the file.
    """

    path: Path
    person: str | None
    folder: Path | None = None
    xmp: bool = False


def checked_names_from(value: str) -> NamesFrom:
    """Return the value if it is one of `NamesFrom`.

    Raises
    ------
    FaceallError
        If it is not.
    """
    for known in get_args(NamesFrom):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise FaceallError(f"names_from is {value!r}, expected one of {', '.join(get_args(NamesFrom))}")


def refuse_urls(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Raise FaceallError for a URL, which is never downloaded."""
    for given in paths:
        path = os.fspath(given)
        if _URL.match(path) and not os.path.lexists(path):
            raise FaceallError(f"{path}: is a URL, which is never downloaded; download the photo and register the file")


def find_candidates(
    paths: Iterable[str | os.PathLike[str]],
    *,
    names_from: NamesFrom = "auto",
    known: Iterable[str] = (),
    aliases: Mapping[str, str | None] | None = None,
    on_error: Callable[[ImageError], None] | None = None,
    on_skip: Callable[[Path, str], None] | None = None,
) -> list[Candidate]:
    """List the images at some paths, each once, with the person that its path suggests.

    Parameters
    ----------
    paths : iterable of path-like
        Files, and folders that are searched recursively.
    names_from : {"auto", "folders", "files", "xmp", "none"}
        Which part of a path suggests a name.
    known : iterable of str
        The people of the gallery.
    aliases : mapping, optional
        The current name of people who were renamed or merged, by the folder name; None for a name that was removed.
        Used by ``auto``.
    on_error : callable, optional
        Called for each folder that cannot be read; by default the error is raised.
    on_skip : callable, optional
        Called with every file or folder that is skipped, and what it is.

    Raises
    ------
    ImageError
        A folder cannot be read and `on_error` is None.
    """
    people = frozenset(known)
    found: dict[Path, Candidate] = {}
    roots: set[Path] = set()
    for given in paths:
        root = Path(os.path.abspath(given))
        for file in find_images(root, on_error=on_error, on_skip=on_skip):
            path = Path(os.path.abspath(file))
            if path not in found:
                roots.add(root.parent if path == root else root)
                found[path] = _candidate(path, root, names_from, people)
    if names_from != "auto":
        return list(found.values())
    candidates = _without_lone_photos(found.values(), roots, people)
    return [_with_alias(candidate, people, aliases or {}) for candidate in candidates]


def _candidate(path: Path, root: Path, names_from: NamesFrom, known: frozenset[str]) -> Candidate:
    if names_from == "files":
        return Candidate(path, person_in_stem(path.stem))
    if names_from in ("none", "xmp"):
        return Candidate(path, None, xmp=names_from == "xmp")
    looks_right = _says_something if names_from == "folders" else looks_like_person
    for folder in _folders(path, root):
        name = fitting_name(folder.name)
        if name in known or looks_right(name):
            return Candidate(path, name, folder if names_from == "auto" else None)
    return Candidate(path, None)


def _folders(path: Path, root: Path) -> list[Path]:
    """List the folders that may name a file, nearest first: up to `root`, or only its own if it was given itself."""
    if path == root:
        return [path.parent]
    return [folder for folder in path.parents if folder == root or root in folder.parents]


def _without_lone_photos(candidates: Iterable[Candidate], roots: set[Path], known: frozenset[str]) -> list[Candidate]:
    """Take no new name from a folder that was given itself and has one photo only: nothing can confirm the name."""
    listed = list(candidates)
    photos = Counter(candidate.folder for candidate in listed)
    return [
        replace(one, person=None, folder=None)
        if one.folder in roots and photos[one.folder] == 1 and one.person not in known
        else one
        for one in listed
    ]


def _with_alias(candidate: Candidate, known: frozenset[str], aliases: Mapping[str, str | None]) -> Candidate:
    """Use the current name of a person who was renamed or merged after the folder was registered."""
    person, seen = candidate.person, set()
    while person is not None and person not in known and person in aliases and person not in seen:
        seen.add(person)
        person = aliases[person]
    if person == candidate.person:
        return candidate
    return replace(candidate, person=person, folder=candidate.folder if person else None)


def person_in_name(name: str) -> str | None:
    """Return the person that the name of an uploaded file suggests, with the folders in it; None if it suggests none.

    `Ada/1.jpg` and `ada_2.jpg` suggest a person, `IMG_0042.jpg` and `1.jpg` do not.
    """
    *folders, file = [fitting_name(part) for part in re.split(r"[/\\]", name) if part.strip()] or [""]
    named = next(filter(looks_like_person, reversed(folders)), None)
    return named or person_in_stem(os.path.splitext(file)[0])


def person_in_stem(stem: str) -> str | None:
    """Return the person that a file's stem names, without dates, counters, copies and edits; None for none."""
    name = fitting_name(stem)
    if _UUID.search(name) or _HASH.fullmatch(name):
        return None
    before = None
    while before != name:
        before = name
        for ending in _ENDINGS:
            name = ending.sub("", name)
    name = name.strip(" _.-~")
    return name if _says_something(name) and not re.search(r"\d", name) else None


def looks_like_person(name: str) -> bool:
    """Return whether a folder's name looks like that of one person: no date, no camera, no program, no event."""
    words = _words(name)
    looks_right = _says_something(name) and len(name.split()) <= _MAX_WORDS and not words & EVENT_WORDS
    return looks_right and not _JOINED.search(name)


def names_two_people(name: str) -> bool:
    """Return whether a folder's name joins the names of two people: "Ada and Bob", "Ada + Bob", "Ada & Bob"."""
    parts = _JOINED.split(name)
    return len(parts) > 1 and all(map(looks_like_person, parts))


def _says_something(name: str) -> bool:
    """Return whether a name can be a person's: letters, no date, not of a camera or a program."""
    words = _words(name)
    return (
        bool(words)
        and (sum(map(str.isalnum, name)) >= 2 or not name.isascii())
        and not words & PROGRAM_WORDS
        and not words <= COLLECTION_WORDS
        and not _DATE.search(name)
        and not _DCF_FOLDER.fullmatch(name)
        and not _UUID.search(name)
        and not _HASH.fullmatch(name)
    )


def _words(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, those in camel case as a whole and in parts: WhatsAppImage."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return frozenset(re.findall(r"[^\W\d_]+", f"{name} {spaced}".casefold()))


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
