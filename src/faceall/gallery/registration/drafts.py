"""A gallery that is made for what comes in is only there if that came in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceall.gallery.addresses import is_address
from faceall.gallery.gallery import Gallery
from faceall.gallery.opening import DATABASE, default_place, holds_gallery

_FILES = ("", "-wal", "-shm", "-journal")


@contextmanager
def open_to_fill(path: str | os.PathLike[str] | None = None) -> Iterator[Gallery]:
    """`Gallery.open(path)`, closed at the end; where there was none and it fails, no empty one stays behind.

    Raises what `Gallery.open` raises.
    """
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
    """Whether there is a gallery that nobody has put anything in."""
    if not holds_gallery(folder):
        return False
    with Gallery.open(folder, read_only=True) as opened:
        return not len(opened) and not opened.status().photos


def _remove(folder: Path, made: list[Path]) -> None:
    for suffix in _FILES:
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    with suppress(OSError):  # somebody has put something there
        for place in made:
            place.rmdir()
