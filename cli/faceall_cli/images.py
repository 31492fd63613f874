"""Read images, and write images with drawings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceall_cli.console import Console, shown
from faceall_cli.sources import STDIN, read_stdin

if TYPE_CHECKING:
    from faceall.types import Image


def read_images(console: Console, paths: tuple[Path, ...]) -> Iterator[tuple[Path, Image]]:
    """Yield every image at the paths with its pixels; report unreadable ones on stderr.

    A JPEG whose end is missing is used as far as it goes, as `register` does, with a remark.
    """
    from faceall.errors import ImageError
    from faceall.gallery.naming.paths import refuse_urls
    from faceall.images import find_images

    if STDIN in map(str, paths):
        yield from _piped(console)
        paths = tuple(path for path in paths if str(path) != STDIN)
        if not paths:
            return
    refuse_urls(paths)
    files = find_images(paths, on_error=lambda error: console.error(str(error), error.path))
    if not files:
        console.error("no image found")
    with console.progress(len(files), "images") as bar:
        for file in files:
            try:
                image = _decoded(console, file, shown(file))
            except ImageError as error:
                console.error(str(error), file)
            else:
                yield file, image
            bar.step()


def _piped(console: Console) -> Iterator[tuple[Path, Image]]:
    """Yield the image that is piped into the command."""
    from faceall.errors import ImageError

    try:
        image = _decoded(console, read_stdin(), "standard input")
    except ImageError as error:
        console.error(f"standard input: {error.reason}", STDIN)
    else:
        yield Path(STDIN), image


def _decoded(console: Console, source: Path | bytes, name: str) -> Image:
    """Return the pixels of an image, with a remark if a part is missing."""
    from faceall.images import decode_image

    decoded = decode_image(source)
    if decoded.truncated:
        console.remark(f"{name}: the end of the file is missing; the image is used as far as it goes")
    return decoded.pixels


def place(box: Any) -> str:
    """Format a box: its corners in whole pixels."""
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return f"{x0},{y0} to {x1},{y1}"


class Drawings:
    """Write one image per query into a folder; never overwrite a query or an earlier drawing."""

    def __init__(self, console: Console, folder: Path, queries: tuple[Path, ...]) -> None:
        from faceall.images import find_images

        self._console, self._folder = console, folder
        self._taken = {path.resolve() for path in find_images(queries, on_error=lambda error: None)}

    def write(self, query: Path, drawing: Image) -> None:
        """Write the drawing of a query under its name; add a number if the name is taken."""
        from faceall.errors import ImageError
        from faceall.images import write_image

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(str(self._folder), f"cannot be created ({error.strerror})") from error
        numbers = itertools.count(1)
        names = (self._folder / f"{query.stem}{f'-{number}' if number > 1 else ''}.jpg" for number in numbers)
        target = next(name for name in names if name.resolve() not in self._taken)
        self._taken.add(target.resolve())
        write_image(target, drawing)
        self._console.remark(f"wrote {shown(target)}")
