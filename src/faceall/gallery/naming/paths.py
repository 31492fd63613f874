"""Names that paths suggest: a folder per person, or the name of a file.

A name is taken only where the user plainly means it. With ``auto`` a folder suggests a name when it looks like a
person's: no date, no word of a camera or program, no event. Whether the faces in it agree is checked after they were
analysed, by `faceall.gallery.registration.folder_names`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from faceall.arguments import checked
from faceall.errors import FaceallError, ImageError
from faceall.gallery.naming.form import fitting_name
from faceall.gallery.naming.guessing import can_be_name, looks_like_person, person_in_stem
from faceall.images import find_images
from faceall.images.metadata import Metadata

NamesFrom: TypeAlias = Literal["auto", "folders", "files", "xmp", "none"]
"""Where the names of people come from."""

_URL = re.compile(r"(?:https?|ftp|file|s3|data):/", re.IGNORECASE)  # one slash: pathlib removes the second


@dataclass(frozen=True)
class KnownContent:
    """What the caller of a registration knows of a file that it has just written or read.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the content.
    metadata : Metadata
        What its metadata say.
    """

    digest: bytes
    metadata: Metadata


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
    content : KnownContent or None
        What is known of its content, which is then not computed again. The file must not change before it is
        registered.
    """

    path: Path
    person: str | None
    folder: Path | None = None
    xmp: bool = False
    content: KnownContent | None = None


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
            url = re.sub(r":/+", "://", path, count=1)
            raise FaceallError(f"{url}: is a URL, which is never downloaded; download it and give the path of the file")


@checked
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
        The current name of people who were renamed or merged, by the name of the folder or file; None for a name that
        was removed, which only ``auto`` respects.
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
    if names_from == "auto":
        candidates, current = _without_lone_photos(found.values(), roots, people), aliases or {}
    else:
        candidates = list(found.values())
        current = {old: new for old, new in (aliases or {}).items() if new is not None}
    return [_with_alias(candidate, people, current) for candidate in candidates]


def _candidate(path: Path, root: Path, names_from: NamesFrom, known: frozenset[str]) -> Candidate:
    if names_from == "files":
        return Candidate(path, person_in_stem(path.stem))
    if names_from in ("none", "xmp"):
        return Candidate(path, None, xmp=names_from == "xmp")
    looks_right = can_be_name if names_from == "folders" else looks_like_person
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
