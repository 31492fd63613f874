"""Register photos by their paths: find the files, and the people that they are registered for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from faceall.errors import FaceallError, ImageError
from faceall.gallery.context import Context
from faceall.gallery.missing_photos import photos_without_file
from faceall.gallery.naming import NamesFrom, checked_names_from, find_candidates, refuse_urls
from faceall.gallery.people.aliases import read_aliases
from faceall.gallery.people.names import validate_name
from faceall.gallery.records import PhotoResult, StoredPhoto
from faceall.gallery.registration.options import Reassign, RegistrationOptions
from faceall.gallery.registration.registration import Registration


@dataclass(frozen=True, kw_only=True)
class NameOptions:
    """The people that photos are registered for; see `Gallery.register`.

    Attributes
    ----------
    person : str or None
        The person of all photos, including registered ones.
    names_from : {"auto", "folders", "files", "xmp", "none"}
        Where names come from without a person.
    unnamed : bool
        Use no names from paths, and remove names that registered photos got when they were registered.
    only_new : bool
        Leave registered photos as they are where names come from folders or files.
    """

    person: str | None = None
    names_from: NamesFrom = "auto"
    unnamed: bool = False
    only_new: bool = False

    @property
    def reassign(self) -> Reassign:
        """Which registered photos get another person."""
        if self.unnamed or self.person is not None:
            return "all"
        return "unassigned" if self.names_from in ("folders", "files") and not self.only_new else "none"

    @property
    def source(self) -> NamesFrom:
        """Where names come from.

        Raises
        ------
        FaceallError
            If `names_from` is not one of the choices.
        """
        return "none" if self.reassign == "all" else checked_names_from(self.names_from)


def register_paths(
    context: Context,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    names: NameOptions,
    options: RegistrationOptions,
) -> Registration:
    """Find the photos in files and folders and register them while iterating over the result.

    Parameters
    ----------
    context : Context
        The gallery.
    paths : path-like, or iterable of path-like
        Files, and folders that are searched recursively.
    names : NameOptions
        The people of the photos.
    options : RegistrationOptions
        How they are registered; `names` decides on `reassign`.

    Returns
    -------
    Registration
        An iterator of `PhotoResult`.

    Raises
    ------
    FaceallError
        A path is empty or a URL, or an option is invalid.
    """
    source = names.source
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not all(map(os.fspath, given)):
        raise FaceallError("the path is empty; use . for the current folder")
    refuse_urls(given)
    errors: list[PhotoResult] = []
    skipped: list[tuple[Path, str]] = []

    def note(error: ImageError) -> None:
        errors.append(PhotoResult(Path(error.path or ""), "unreadable", message=error.reason))

    candidates = find_candidates(
        given,
        names_from=source,
        known=[found.name for found in context.store.people.listed()],
        aliases=read_aliases(context.store),
        on_error=note,
        on_skip=lambda path, kind: skipped.append((path, kind)),
    )
    if names.person is not None:
        name = validate_name(names.person)
        candidates = [replace(candidate, person=name) for candidate in candidates]
    context.analyser.limit_faces(options.min_face)
    chosen = replace(options, reassign=names.reassign)
    return Registration(context, candidates, chosen, errors=errors, skipped=skipped)


class NewPhotos:
    """Registers folders again and again: photos that are registered keep the names that they have, or have not.

    Parameters
    ----------
    context : Context
        The gallery.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def iter_register(self, paths: Path, /, *, names_from: NamesFrom, stop: Event | None) -> Iterator[PhotoResult]:
        """Register a folder as `Gallery.iter_register` does; what became of names from folders has results too."""
        names = NameOptions(names_from=names_from, only_new=True)
        registration = register_paths(self._context, paths, names, RegistrationOptions(stop=stop))
        yield from registration
        for found in registration.folder_names:
            if found.accepted:
                yield PhotoResult(found.folder, "named", person=found.name)
            else:
                yield PhotoResult(found.folder, "left-unnamed", message=f"shows several people ({found.agreement})")

    def photos_without_file(self, folder: Path) -> list[StoredPhoto]:
        """Return the photos that were registered below a folder, and of which no file is found now."""
        return photos_without_file(self._context.store, folder)
