"""Find image files: by suffix in folders, by path when a file is given."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from faceall.arguments import checked
from faceall.errors import ImageError, UnreadableImageError
from faceall.files import open_regular
from faceall.images.decoding.formats import HEAD_BYTES, identify
from faceall.images.junk import junk_file, junk_folder

# fmt: off
RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".gpr", ".iiq", ".kdc", ".mef", ".mos", ".nef", ".nrw",
    ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
IMAGE_SUFFIXES = RAW_SUFFIXES | frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large", ".jpeg_large", ".insp", ".mpo", ".png", ".apng", ".webp", ".gif",
    ".bmp", ".dib", ".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm",
    ".heic", ".heif", ".heics", ".heifs", ".hif",
))
# fmt: on
_AMBIGUOUS = ("BMP", "PNM")  # a text can begin like these


@checked
def is_image_path(path: str | os.PathLike[str]) -> bool:
    """Return whether the suffix of `path` is that of an image, ignoring case; the file itself is not opened."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


@checked
def find_images(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    on_error: Callable[[ImageError], None] | None = None,
    on_skip: Callable[[Path, str], None] | None = None,
) -> list[Path]:
    """List the images at `paths`, each once.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files and folders. A file is listed whatever its suffix, even if it is missing, so that reading it reports
        the error. A folder is searched recursively for files with the suffix of an image, and for images among files
        whose suffix says nothing.
    on_error : callable, optional
        Called with the error of every folder that cannot be read; the search then continues. By default the error is
        raised.
    on_skip : callable, optional
        Called with every file or folder in a folder that is skipped, and what it is: "trash", "thumbnail cache",
        "hidden", "video", "metadata" and so on.

    Returns
    -------
    list of Path
        In the order of `paths`. In a folder the files come before the subfolders, each in natural order (`2.jpg`
        before `10.jpg`). Hidden names are skipped. Symbolic links are followed; a loop of links is visited once.

    Raises
    ------
    UnreadableImageError
        If a folder cannot be read and `on_error` is not given.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    found: dict[str, Path] = {}
    for path in map(Path, given):
        for file in _walk(path, on_error or _raise, on_skip or _ignore) if os.path.isdir(path) else (path,):
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _walk(folder: Path, on_error: Callable[[ImageError], None], on_skip: Callable[[Path, str], None]) -> Iterator[Path]:
    """Yield the images of a folder and of its subfolders."""
    seen: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: _natural(entry.name))
        except OSError as error:
            on_error(UnreadableImageError(str(current), f"the folder cannot be read ({error.strerror})"))
            continue
        folders = []
        for entry in entries:
            path, is_folder = current / entry.name, _is_folder(entry)
            kind = junk_folder(entry.name, current.name) if is_folder else _skipped(path)
            if kind is not None:
                on_skip(path, kind)
            elif is_folder:
                folders.append(path)
            else:
                yield path
        pending += reversed(folders)


def _skipped(path: Path) -> str | None:
    """Return what a file is that is not an image; None for an image."""
    suffix = path.suffix.lower()
    kind = junk_file(path.name, suffix)
    if kind is not None or suffix in IMAGE_SUFFIXES:
        return kind
    try:
        with open_regular(path) as file:
            found = identify(file.read(HEAD_BYTES))
    except OSError:
        return "other"
    return "other" if found is None or found.name in _AMBIGUOUS else None


def _ignore(path: Path, kind: str) -> None:
    """Do nothing: the default of `on_skip`."""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; a broken link is not."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sorting key that compares runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in parts if part], name


def _raise(error: ImageError) -> None:
    """Raise the error: the default of `on_error`."""
    raise error
