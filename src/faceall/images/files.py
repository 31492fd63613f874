"""Which files are pictures: by suffix in folders, by name where a person names them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from faceall.errors import ImageError, UnreadableImageError

# fmt: off
IMAGE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm",
    ".heic", ".heif",  # refused when read: better a clear line than a picture passed over
))
# fmt: on


def is_image_path(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix of `path` is that of a picture, in capitals or not; the file is not looked at."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def find_images(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    on_error: Callable[[ImageError], None] | None = None,
) -> list[Path]:
    """The pictures at `paths`, each once.

    paths     one path or several. A file is taken whatever its suffix, even if it is missing, so that reading it
              gives it a status; a folder is searched, at any depth, for files with the suffix of a picture
    on_error  is told of every folder that cannot be read, and the search goes on; by default the error is raised
    returns   the files in the order of `paths`; in a folder its files, then its subfolders, each in natural order
              (`2.jpg` before `10.jpg`); hidden names are skipped, links followed, a loop of links walked once

    Raises UnreadableImageError for a folder that cannot be read, unless `on_error` is given.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    found: dict[str, Path] = {}
    for path in map(Path, given):
        for file in _walk(path, on_error or _raise) if os.path.isdir(path) else (path,):
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def _walk(folder: Path, on_error: Callable[[ImageError], None]) -> Iterator[Path]:
    """The pictures of a folder and of those below it."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: _natural(entry.name))
        except OSError as error:
            on_error(UnreadableImageError(f"{here}: the folder cannot be read ({error.strerror})"))
            continue
        shown = [(here / entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
        yield from (path for path, is_folder in shown if not is_folder and is_image_path(path))
        waiting += [path for path, is_folder in reversed(shown) if is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads nowhere is not."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sorting key that counts runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in parts if part], name


def _raise(error: ImageError) -> None:
    raise error
