"""Write the faces of a video: a JPEG per face, and a contact sheet of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from faceall.analysis.analyser import THUMBNAIL
from faceall.errors import ImageError
from faceall.files import write_file
from faceall.gallery.videos import Appearance
from faceall.images import encode_jpeg, read_image
from faceall.types import Image

_COLUMNS = 8
_TILE, _GAP, _TEXT = 144, 8, 13
_WHITE, _BLACK, _GRAY = (255, 255, 255), (0, 0, 0), (110, 110, 110)
_UNSAFE = re.compile(r"[^\w.\- ]+")
_LONGEST = 60  # characters of a person in the name of a file


def write_thumbnails(appearances: Sequence[Appearance], folder: Path) -> Iterator[Path]:
    """Write the best view of each face of a video into a folder, and all of them on a contact sheet.

    Parameters
    ----------
    appearances : sequence of Appearance
        Of one video.
    folder : Path
        Is created.

    Yields
    ------
    Path
        Each file that was written: VIDEO-001-PERSON.jpg, ..., VIDEO-contact-sheet.jpg.

    Raises
    ------
    ImageError
        A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(appearances, 1):
            person = _UNSAFE.sub("_", one.person or "unknown")[:_LONGEST]
            file = folder / f"{one.path.stem}-{number:03d}-{person}.jpg"
            write_file(file, one.thumbnail)
            yield file
        sheet = folder / f"{appearances[0].path.stem}-contact-sheet.jpg"
        write_file(sheet, encode_jpeg(contact_sheet(appearances)))
        yield sheet
    except OSError as error:
        raise ImageError(str(folder), f"cannot be written ({error.strerror})") from error


def contact_sheet(appearances: Sequence[Appearance]) -> Image:
    """Draw the faces of a video, grouped by person, with the times at which they are seen.

    Parameters
    ----------
    appearances : sequence of Appearance
        At least one.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    shown = sorted(appearances, key=lambda one: (one.person is None, one.person or "", one.start))
    columns = min(_COLUMNS, len(shown))
    height = _TILE + 2 * (_TEXT + 4)
    rows = -(-len(shown) // columns)
    size = (columns * (_TILE + _GAP) + _GAP, rows * (height + _GAP) + _GAP)
    page = PillowImage.new("RGB", size, _WHITE)
    canvas, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT)
    for number, one in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (_TILE + _GAP), _GAP + row * (height + _GAP)
        face = PillowImage.fromarray(read_image(one.thumbnail)) if one.thumbnail else _blank()
        page.paste(face.resize((_TILE, _TILE), PillowImage.Resampling.BICUBIC), (left, top))
        sure = " ?" if one.decision == "possible" else ""
        canvas.text((left, top + _TILE + 2), _fitted(f"{one.person or 'unknown'}{sure}", font), _BLACK, font)
        times = f"{one.start:.1f} - {one.end:.1f} s"
        canvas.text((left, top + _TILE + _TEXT + 5), times, _GRAY, font)
    return np.asarray(page, np.uint8)


def _blank() -> PillowImage.Image:
    return PillowImage.new("RGB", (THUMBNAIL, THUMBNAIL), _GRAY)


def _fitted(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Cut a text to the width of a tile."""
    while text and font.getlength(text) > _TILE:
        text = text[:-1]
    return text
