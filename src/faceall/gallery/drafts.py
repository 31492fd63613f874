"""Open a gallery to fill it; a new one that stays empty is removed again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceall.arguments import checked
from faceall.gallery.addresses import is_address
from faceall.gallery.gallery import Gallery
from faceall.gallery.opening import DATABASE, default_place, holds_gallery

_FILES = ("", "-wal", "-shm", "-journal")


@checked
@contextmanager
def open_to_fill(path: str | os.PathLike[str] | None = None) -> Iterator[Gallery]:
    """Open a gallery with `Gallery.open(path)`; if it is new and the block fails, an empty one is removed again."""
    place = default_place() if path is None else path
    if is_address(place):
        with Gallery.open(place) as opened:
            yield opened
        return
    folder = Path(os.path.abspath(place))
    there = holds_gallery(folder)
    made = [] if there else [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        with Gallery.open(folder) as opened:
            yield opened
    except BaseException:
        if not there and _is_empty(folder):
            _remove(folder, made)
        raise


def _is_empty(folder: Path) -> bool:
    """Return whether there is a gallery without content."""
    if not holds_gallery(folder):
        return False
    with Gallery.open(folder, read_only=True) as opened:
        return not len(opened) and not opened.status().photos


def _remove(folder: Path, made: list[Path]) -> None:
    for suffix in _FILES:
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    with suppress(OSError):  # another process has written something there
        for place in made:
            place.rmdir()
